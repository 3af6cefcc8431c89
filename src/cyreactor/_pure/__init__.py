"""The pure core: the readable twin of ``cyreactor._compiled``, on ``selectors``."""
