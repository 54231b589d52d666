"""How kernels are compiled by Numba; imported only where there is no code on disk.

Spec: kernels.cache
"""

from collections.abc import Callable
from typing import Any, TypeVar

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, compiler, types
from numba.core.codegen import JITCodeLibrary
from numba.extending import intrinsic
from numba.np import arrayobj
from numba.np.numpy_support import from_dtype

from refimpl.kernels.kept import Code, Kinds

Function = TypeVar("Function", bound=Callable[..., Any])
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Part(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that only other compiled code calls: it is optimized there, once for all that call it.

    Numba would optimize each function with all that it calls, and make machine code of it, at every level anew.
    """

    _shared_module: Any

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalized = True

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Numba leaves a Python object with the machine code; there is none, and it is used by Python objects only."""

    def get_pointer_to_function(self, name: str) -> int:
        return 0  # "not defined": nobody calls it from here

    def _get_module_for_linking(self) -> Any:
        """This function and all that it calls, each to be dropped where it is there already."""
        if self._shared_module is None:
            self._shared_module = self.own()
            _link_called(self, self._shared_module)
        return self._shared_module

    def own(self) -> Any:
        """This function alone."""
        module = self._final_module.clone()
        for function in module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        return module


class _Whole(JITCodeLibrary):  # type: ignore[misc]
    """The code of an entry point, with all that it calls."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        _link_called(self, self._final_module)
        self._linking_libraries = []
        super().finalize()


def _link_called(library: Any, module: Any) -> None:
    """Put into a module all that a function calls, and what that calls, each once."""
    found, new = {library}, [library]
    while new:
        for called in new.pop()._linking_libraries:
            if called not in found:
                found.add(called)
                if isinstance(called, _Part):
                    new.append(called)
                module.link_in(called.own() if isinstance(called, _Part) else called._get_module_for_linking(), True)


class _Compiler(compiler.Compiler):  # type: ignore[misc]
    """Numba's compiler, which puts the code into a library of this class."""

    library = _Part

    def define_pipelines(self) -> Any:
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        return super().define_pipelines()


class _EntryCompiler(_Compiler):
    library = _Whole


def inner(function: Function) -> Function:
    """Compile a function that only compiled code calls.

    Divisions give what IEEE 754 says and raise nothing. No fastmath flag is set, here or anywhere.
    """
    return njit(pipeline_class=_Compiler, **_OPTIONS)(function)


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that `entries` hands to Python. What it calls in turn is compiled into it."""
    return njit(pipeline_class=_EntryCompiler, **_OPTIONS)(function)


def compiled(function: Any, kinds: Kinds) -> tuple[int, Code]:
    """Address and machine code of an entry point for arguments of these kinds."""
    signature = tuple(_type_of(kind) for kind in kinds)
    function.compile(signature)
    result = function.overloads[signature]
    name, library = result.fndesc.llvm_func_name, result.library
    address, code = library.get_pointer_to_function(name), bytes(library._get_compiled_object())
    declared = [found.name for found in library._final_module.functions if found.is_declaration]
    return address, Code(name, [found for found in declared if found.encode() + b"\0" in code], code)


def _type_of(kind: str) -> Any:
    """Numba's type of an argument: `int`, `float`, or an array as its element type and dimensions."""
    numbers = {"int": types.int64, "float": types.float64}
    return numbers.get(kind) or types.Array(from_dtype(np.dtype(kind[:-1])), int(kind[-1]), "C")


def instruction(function: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """A function that says which LLVM instructions take its place."""
    return intrinsic(function)


@instruction
def once(typing: Any) -> Any:
    """Written into a function: compile it once, not again into each of its callers, and as it is written.

    Loops that matter are vectors already; unrolling the others would only make compilation longer.
    """

    def generate(context: Any, builder: Any, _: Any, __: Any) -> Any:
        for attribute in ("noinline", "optsize"):
            builder.function.attributes.add(attribute)
        return context.get_dummy_value()

    return types.void(), generate


@instruction
def whole(typing: Any, x: Any) -> Any:
    """A constant as any other whole number, so that functions are not compiled again for each constant."""
    return types.int64(types.int64), lambda _, __, ___, args: args[0]


@instruction
def words_at(typing: Any, address: Any, size: Any) -> Any:
    """So many whole numbers at an address, as an array that owns nothing."""
    array = types.Array(types.int64, 1, "C")

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        value = arrayobj.make_array(array)(context, builder)
        data = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        word = context.get_constant(types.intp, 8)
        arrayobj.populate_array(value, data, [args[1]], [word], word, None)
        return value._getvalue()

    return array(types.intp, types.intp), generate


@instruction
def call_at(typing: Any, address: Any, rank: Any, team: Any, sizes: Any, tops: Any, buffers: Any, states: Any) -> Any:
    """Call an entry point for six whole numbers that lies at an address. It returns nothing and raises nothing."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        word, slot = ir.IntType(64), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [slot.as_pointer()] * 2 + [word] * 6)
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [cgutils.alloca_once(builder, slot) for _ in range(2)] + list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), generate
