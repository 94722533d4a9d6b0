"""Let the judge ask the same only once."""


def remembered(function):
    """The function, called only once with the same objects."""
    found = {}

    def once(*args):
        key = tuple(map(id, args))
        if key not in found:
            found[key] = function(*args), args  # keep the arguments alive, or an id could come twice
        return found[key][0]

    return once
