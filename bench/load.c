/* A load generator that asks and waits for the answer, on many connections at once.

       load PORT CONNECTIONS REQUEST_BYTES LINES ANSWER_BYTES SECONDS [FILE]

   A request is LINES lines of REQUEST_BYTES in all, or LINES times the file of REQUEST_BYTES; the
   answer to it is any ANSWER_BYTES bytes.
   Prints the round trips that were completed and the seconds they took. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* A request of so many lines; or of the file, so many times over. */
static char *make_request(int *size, int lines, const char *path) {
    char *request = malloc(path ? (long) *size * lines : *size);
    if (path) {
        FILE *file = fopen(path, "rb");
        if (!file || fread(request, 1, *size, file) != (size_t) *size)
            fail(path);
        fclose(file);
        for (int i = 1; i < lines; i++)
            memcpy(request + (long) i * *size, request, *size);
        *size *= lines;
        return request;
    }
    memset(request, 'x', *size);
    for (int i = 1; i <= lines; i++)
        request[(long) *size * i / lines - 1] = '\n';
    return request;
}

int main(int argc, char **argv) {
    if (argc != 7 && argc != 8)
        return 2;
    int port = atoi(argv[1]), connections = atoi(argv[2]), size = atoi(argv[3]), lines = atoi(argv[4]);
    int answer = atoi(argv[5]);
    double seconds = atof(argv[6]);
    char *request = make_request(&size, lines, argc == 8 ? argv[7] : NULL), *scratch = malloc(1 << 20);
    int *missing = calloc(connections + 64, sizeof(int));
    int epoll = epoll_create1(0), one = 1;
    int *sockets = malloc(connections * sizeof(int));
    for (int i = 0; i < connections; i++) {
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (void *) &address, sizeof address))
            fail("connect");
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
    for (int i = 0; i < connections; i++) {
        missing[i] = answer;
        if (send(sockets[i], request, size, MSG_NOSIGNAL) != size)
            fail("send");
    }
    long trips = 0;
    double start = now(), end = start + seconds, time;
    struct epoll_event events[1024];
    while ((time = now()) < end) {
        int ready = epoll_wait(epoll, events, 1024, 100);
        for (int i = 0; i < ready; i++) {
            int who = events[i].data.u32;
            ssize_t count = recv(sockets[who], scratch, 1 << 20, 0);
            if (count <= 0)
                fail("recv");
            missing[who] -= count;
            if (missing[who] > 0)
                continue;
            trips++;
            missing[who] = answer;
            if (send(sockets[who], request, size, MSG_NOSIGNAL) != size)
                fail("send");
        }
    }
    printf("%ld %.6f\n", trips, time - start);
    return 0;
}
