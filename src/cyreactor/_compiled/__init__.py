"""The compiled core: its modules are built from ``ext/cyreactor/_compiled``, on epoll."""
