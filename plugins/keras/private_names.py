"""Every name of Keras and tensorflow that the room relies on and that is private or undocumented.

A test looks each of them up, and fails with its name when it is gone; another one finds any that is missing here.
"""

from __future__ import annotations

import inspect

import keras


def list_that_begins(callback: keras.callbacks.Callback) -> keras.callbacks.CallbackList | None:
    """The list whose `on_train_begin` is calling the callback's; the outermost where lists are within lists.

    Keras gives a callback its model and the `params` of the run, and nothing that leads to the list (3.10 to 3.15): so
    it is looked up among the callers.
    """
    found = None
    frame = inspect.currentframe()
    while frame is not None:
        calling = frame.f_locals.get("self") if frame.f_code.co_name == "on_train_begin" else None
        # A fit within a callback's hook has a list of its own, and the one further out is another fit's.
        if isinstance(calling, keras.callbacks.CallbackList) and (found is None or found in calling.callbacks):
            found = calling
        frame = frame.f_back
    return found
