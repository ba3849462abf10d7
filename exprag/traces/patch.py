"""The difference between two JSON values as a JSON value, so that what a format has no place for travels beside it.

A difference is an object with one of: "=" a value to put in place; "~" differences by key, with "-" keys to remove; "#"
differences by index, of lists of the same length.
"""

from __future__ import annotations

from typing import Any

JsonData = dict[str, Any]


def difference(target: Any, base: Any) -> JsonData | None:
    """What makes `base` into `target`; None where they are equal, types included."""
    if isinstance(target, dict) and isinstance(base, dict):
        changes = {key: difference(value, base[key]) if key in base else {"=": value} for key, value in target.items()}
        changes = {key: change for key, change in changes.items() if change is not None}
        missing = [key for key in base if key not in target]
        return {"~": changes, **({"-": missing} if missing else {})} if changes or missing else None
    if isinstance(target, list) and isinstance(base, list) and len(target) == len(base):
        items = {str(index): difference(*pair) for index, pair in enumerate(zip(target, base, strict=True))}
        items = {index: change for index, change in items.items() if change is not None}
        return {"#": items} if items else None
    return None if type(target) is type(base) and target == base else {"=": target}


def patched(base: Any, change: Any) -> Any:
    """`base` with a difference applied. Raises ValueError where the difference is not one of this base."""
    if change is None:
        return base
    if not isinstance(change, dict):
        raise ValueError("a difference is an object")
    if "=" in change:
        return change["="]
    if isinstance(base, dict) and isinstance(change.get("~"), dict):
        missing = change.get("-") or []
        result = {key: value for key, value in base.items() if key not in missing}
        return result | {key: patched(base.get(key), value) for key, value in change["~"].items()}
    if isinstance(base, list) and isinstance(change.get("#"), dict):
        items = dict(enumerate(base))
        for index, value in change["#"].items():
            if not index.isdecimal() or int(index) not in items:
                raise ValueError(f"there is no element {index}")
            items[int(index)] = patched(items[int(index)], value)
        return list(items.values())
    raise ValueError("the difference is of other data")
