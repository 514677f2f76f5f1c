"""Where arrays lie: the mesh and the one table from logical axes to mesh axes.

Meshes are always of AxisType.Auto: XLA places what is not stated. A program is sharded when it is traced
under `jax.set_mesh(mesh)`; without a mesh the same program runs on one device.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from kcx_jax.errors import UsageError
from kcx_jax.ops.parameters import Parameter

MESH_AXES = ("data", "fsdp", "tensor")
BATCH_AXES = ("data", "fsdp")

_TABLE: dict[str | None, tuple[str, ...]] = {
    "batch": BATCH_AXES,
    "layers": (),
    "embed": ("fsdp",),
    "heads": ("tensor",),
    "mlp": ("tensor",),
    "vocab": ("tensor",),
    None: (),
}


def make_mesh(
    devices: Sequence[jax.Device] | None = None, data: int = -1, fsdp: int = 1, tensor: int = 1
) -> Mesh:
    """A mesh with axes ("data", "fsdp", "tensor") over `devices` (all by default); data -1 = what is left.

    Raises `UsageError` when the sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    sizes = {"data": data, "fsdp": fsdp, "tensor": tensor}
    if data == -1 and fsdp > 0 and tensor > 0:
        sizes["data"] = len(devices) // (fsdp * tensor)
    if prod(sizes.values()) != len(devices) or min(sizes.values()) < 1:
        asked = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UsageError(f"a mesh of {asked} does not fit the {len(devices)} devices found.")
    return jax.make_mesh(tuple(sizes.values()), MESH_AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def abstract_mesh(data: int = 1, fsdp: int = 1, tensor: int = 1) -> AbstractMesh:
    """A mesh without devices, to ask where arrays would lie."""
    return AbstractMesh((data, fsdp, tensor), MESH_AXES, axis_types=(AxisType.Auto,) * 3)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of arrays whose first axis is rows of the batch."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def shardings(parameters: Any, mesh: Mesh | AbstractMesh) -> Any:
    """The tree of `NamedSharding` for a tree of `Parameter`. `UsageError` where a size does not divide."""

    def leaf(path: tuple, parameter: Parameter) -> NamedSharding:
        for size, axis in zip(parameter.shape, parameter.axes, strict=True):
            if size % _parts(mesh, axis):
                raise UsageError(
                    f"parameter {jax.tree_util.keystr(path, simple=True, separator='/')}: its {axis} axis of "
                    f"{size} does not divide into {_parts(mesh, axis)} parts (mesh axes {_TABLE[axis]})."
                )
        return NamedSharding(mesh, _spec(parameter.axes))

    return jax.tree_util.tree_map_with_path(leaf, parameters)


def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
    """Pin x's axes to the table's mesh axes; the identity without a mesh.

    An axis that does not divide (a single row, the prefix of a decoder) is left whole on every device.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    kept = [
        axis if size % _parts(mesh, axis) == 0 else None for size, axis in zip(x.shape, axes, strict=True)
    ]
    return jax.lax.with_sharding_constraint(x, _spec(kept))


def _parts(mesh: Mesh | AbstractMesh, axis: str | None) -> int:
    return prod(mesh.shape[name] for name in _TABLE[axis])


def _spec(axes: Sequence[str | None]) -> PartitionSpec:
    return PartitionSpec(*(_TABLE[axis] or None for axis in axes))
