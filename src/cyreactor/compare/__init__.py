"""``python -m cyreactor compare``: what the compiled core buys over the pure one, and over other loops.

The method is in ``docs/comparing.md``. From the outside in: ``command`` reads the options and runs,
``schedule`` divides the time, ``targets`` has each loop's server process and the load generator,
``servers``, ``threads`` and ``inside`` are what is measured, ``results`` keeps the rounds and says what
they allow to say, ``tables``, ``show``, ``picture`` and ``report`` put it before somebody.
"""
