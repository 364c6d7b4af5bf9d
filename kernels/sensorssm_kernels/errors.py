"""The exceptions of the kernels: what was found, what was wanted."""

from __future__ import annotations


class KernelError(Exception):
    """Base of every error that the kernels raise on purpose."""


class ArgumentError(KernelError, ValueError):
    """An argument with a shape, dtype, device or value that the operator cannot use."""

    @classmethod
    def of(cls, name: str, found: object, wanted: str) -> ArgumentError:
        """Return the error for one argument, in the form every kernel message has."""
        return cls(f"`{name}`: found {found}, wanted {wanted}")


class BackendError(KernelError, RuntimeError):
    """A backend that was asked for by name and cannot run this call."""
