/* The limit to measure against: an epoll echo server with nothing else in it.
   Takes the number of its CPU, or an empty string; prints the port it listens on, as JSON. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static char data[65536];

static void echo(int fd) {
    ssize_t size = recv(fd, data, sizeof data, 0);
    if (size <= 0 || send(fd, data, size, MSG_NOSIGNAL) != size)
        close(fd);
}

static void prepare(const char *cpu) {
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (*cpu) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(atoi(cpu), &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
}

int main(int count, char **arguments) {
    prepare(count > 1 ? arguments[1] : "");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (void *) &address, sizeof address) || listen(listener, 1024))
        return 1;
    getsockname(listener, (void *) &address, &size);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[1024];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                echo(events[i].data.fd);
                continue;
            }
            event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (event.data.fd >= 0)
                epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
    }
}
