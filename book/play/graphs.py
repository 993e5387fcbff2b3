"""The prior's network as two ONNX graphs for the browser: ``make graphs``, about a minute.

forward.onnx  (x, t) -> v
vjp.onnx      (x, t, u) -> v and J^T u, with J the Jacobian of v in x: what Eq. 3g needs

Both hold no weights. Every tensor names its place in the prior's own safetensors file, in float16 as it lies there,
and is cast to float32; so the graphs are small, and the browser computes with the network that the book computes with.
"""

import hashlib
import json
from functools import partial

import numpy as np
import onnx
import torch
from assemble import HERE, PRIOR, WEIGHTS
from diffusers.models.attention_processor import Attention, AttnProcessor
from onnx import TensorProto, helper, numpy_helper
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from frugal import RestorationPipeline, prior

OPSET = 20
SMALL, LARGE = 64, 4096  # entries; a tensor with fewer stays in the graph, one with more must be the prior's
aten = torch.ops.aten


def network() -> torch.nn.Module:
    """The prior's network, with attention in plain matrix products, which any engine knows."""
    unet = RestorationPipeline.from_pretrained(PRIOR).unet.eval().requires_grad_(False)
    for module in unet.modules():
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor())
            module.get_attention_scores = partial(scores, module.scale)
    return unet


def scores(scale: float, q: torch.Tensor, k: torch.Tensor, mask: None = None) -> torch.Tensor:
    """Attention's weights; diffusers' own begin with memory that is not set, and export would store it."""
    return (scale * q @ k.transpose(-1, -2)).softmax(-1)


def convolution_backward(grad, inp, weight, bias, stride, padding, dilation, transposed, out, groups, mask):  # noqa: ANN001, ANN201
    """The gradient of a convolution in its input: the transposed convolution with the same weights."""
    sizes = zip(inp.shape[2:], grad.shape[2:], stride, padding, dilation, weight.shape[2:])
    more = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, s, p, d, k in sizes]
    given = aten.convolution(grad, weight, None, stride, padding, dilation, True, more, groups)
    return given if mask[0] else None, None, None


def upsample_backward(grad, output_size, input_size, scales_h=None, scales_w=None):  # noqa: ANN001, ANN201
    """The gradient of repeating each pixel twice by twice: the sum over the four."""
    return torch.nn.functional.avg_pool2d(grad, 2) * 4


def traced(unet: torch.nn.Module, *example: torch.Tensor) -> torch.fx.GraphModule:
    """(x, t, u) -> (v, J^T u) as a graph of forward operations alone."""

    def with_jacobian(x: torch.Tensor, t: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.detach().requires_grad_()
        v = unet(x, t, return_dict=False)[0]
        (back,) = torch.autograd.grad(v, x, u)
        return v.detach(), back

    rules = {
        **core_aten_decompositions(),
        **get_decompositions([aten.native_group_norm]),
        aten.convolution_backward.default: convolution_backward,
        aten.upsample_nearest2d_backward.default: upsample_backward,
    }
    trace = make_fx(
        with_jacobian, decomposition_table=rules, tracing_mode="fake", _allow_non_fake_inputs=True
    )
    graph = trace(*example)
    for node in list(graph.graph.nodes):  # views and copies, of which ONNX knows nothing
        if node.target in (aten.detach.default, aten.alias.default):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
        elif node.target is aten.view.default:
            node.target = aten.reshape.default
        elif node.target is aten.as_strided.default:
            assert node.args[0].meta["val"].numel() == node.meta["val"].numel()
            node.target, node.args = aten.reshape.default, node.args[:2]
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def exported(
    module: torch.nn.Module, example: tuple, names: list[str], given: list[str], optimize: bool
) -> onnx.ModelProto:
    """A module as ONNX, with its weights."""
    with torch.no_grad():
        return torch.onnx.export(
            module,
            example,
            input_names=names,
            output_names=given,
            dynamo=True,
            opset_version=OPSET,
            optimize=optimize,
        ).model_proto


def places() -> dict[bytes, tuple[int, int, bool]]:
    """{digest of a tensor's bytes: (where it begins in the prior's file, its length, whether it is transposed)}."""
    content = (prior.locate(PRIOR) / "unet" / WEIGHTS).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    found = {}
    for name, entry in json.loads(content[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[start + begin : start + end], np.float16).reshape(entry["shape"])
        if values.ndim == 2:
            found.setdefault(digest(values.T), (start + begin, end - begin, True))
        found[digest(values)] = start + begin, end - begin, False
    return found


def digest(values: np.ndarray) -> bytes:
    """Of an array's entries and its shape, in which ones do not count."""
    shape = [n for n in values.shape if n != 1]
    return hashlib.sha256(str(shape).encode() + np.ascontiguousarray(values).tobytes()).digest()


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every large tensor replaced by its place in the prior's file; names short, notes left out.

    Raises ValueError for a large tensor that the file does not hold.
    """
    graph, where = model.graph, places()
    kept, short = {value.name for value in (*graph.input, *graph.output)}, {}
    rename = lambda name: name if not name or name in kept else short.setdefault(name, f"{len(short):x}")
    for node in graph.node:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    casts = []
    for tensor in list(graph.initializer):
        tensor.name = rename(tensor.name)
        del tensor.metadata_props[:]
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values) or digest(half) not in where:
            if values.size > LARGE:
                raise ValueError(f"a tensor of shape {values.shape} is not in {WEIGHTS}")
            continue
        offset, length, flipped = where[digest(half)]
        shape = values.shape[::-1] if flipped else values.shape
        outside = TensorProto(name=f"{tensor.name}h", data_type=TensorProto.FLOAT16, dims=shape)
        outside.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
            outside.external_data.add(key=key, value=str(value))
        graph.initializer.remove(tensor)
        graph.initializer.append(outside)
        full = f"{tensor.name}f" if flipped else tensor.name
        casts.append(helper.make_node("Cast", [outside.name], [full], to=TensorProto.FLOAT))
        if flipped:
            casts.append(helper.make_node("Transpose", [full], [tensor.name], perm=[1, 0]))
    nodes = [*casts, *graph.node]
    del graph.node[:], graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    graph.node.extend(nodes)
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
    return model


def main() -> None:
    unet = network()
    x, u = torch.randn(2, 1, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    t = torch.tensor([500.0])
    # Neither class labels nor a dictionary.
    forward = exported(unet, (x, t, None, False), ["x", "t"], ["v"], optimize=True)
    # On the longer graph the exporter's optimiser takes very long, and the engine has its own.
    backward = exported(traced(unet, x, t, u), (x, t, u), ["x", "t", "u"], ["v", "back"], optimize=False)
    for name, model in (("forward", forward), ("vjp", backward)):
        content = without_weights(model).SerializeToString(deterministic=True)
        (HERE / f"{name}.onnx").write_bytes(content)
        print(f"{name}.onnx: {len(content)} bytes")


if __name__ == "__main__":
    main()
