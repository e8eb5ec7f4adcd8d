"""placeholder"""


def begin(engine, thread):
    raise NotImplementedError
