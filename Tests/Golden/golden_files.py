"""Writes the files of golden values, and says how far they are from those that stood there."""
import json
import pathlib

tests = pathlib.Path(__file__).parent.parent


def numbers(tensor, digits):
    """A tensor's values, row-major, rounded to so many significant digits."""
    return [float(f"%.{digits}g" % value) for value in tensor.detach().double().reshape(-1).tolist()]


def save(name, content, **options):
    """Writes `content` as JSON to Tests/`name`."""
    path = tests / name
    before = json.loads(path.read_text()) if path.exists() else None
    path.write_text(json.dumps(content, **options))
    if before is not None:
        # As read, so that tuples and lists compare alike.
        print(f"{name}: largest relative difference from the file before: {difference(json.loads(path.read_text()), before):.1e}")


def difference(new, old):
    """The largest |new − old| / max |old| over lists of numbers; infinite where anything else differs."""
    if isinstance(new, dict) and isinstance(old, dict) and new.keys() == old.keys():
        return max((difference(new[key], old[key]) for key in new), default=0)
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        if all(isinstance(value, (int, float)) for value in new + old):
            scale = max(map(abs, old), default=0)
            return max((abs(a - b) for a, b in zip(new, old)), default=0) / (scale or 1)
        return max((difference(a, b) for a, b in zip(new, old)), default=0)
    if isinstance(new, float) and isinstance(old, float):
        return abs(new - old) / (abs(old) or 1)
    return 0 if new == old else float("inf")
