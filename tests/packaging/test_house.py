"""The house's own rules: imports run one way, the twins are twins, the stubs are complete."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest
from cores import CORES, load_core

import cyreactor

PACKAGE = Path(cyreactor.__file__).parent
MODULES = cyreactor._backend.MODULES

# Who may be imported, in this order: a module imports only from rows above its own.
LAYERS = [
    {"errors", "limits", "_seams", "_typing", "load"},
    {"load_tls", "sink", "_faults", "_resp", "http_lines"},
    {"intake", "poller", "http_head"},
    {"framing", "reader", "resp_encoding"},
    {"endpoint", "descriptor", "http_parser", "resp"},
    {"connection", "datagram", "listener", "http"},
    {"http_exchange"},
    {"loop"},
    {"sock_calls"},
    {"_backend"},
    {"framing*", "http/parsers", "sockets", "streams", "tls", "transport"},
    {"protocols", "reactor", "http/heads", "http/timeouts", "http/linger", "http/conditions", "http/listing"},
    {"_echo", "http/delivery", "http/directory", "http/gathering"},
    {"http/protocol"},
    {"http/files"},
    {"http/__init__", "resp*", "server", "testing/memory", "testing/recorder"},
    {"__init__", "testing/clock", "testing/link"},
    {"testing/__init__"},
    {"compare/__init__", "compare/options", "compare/workloads", "compare/child", "compare/patched"},
    {"compare/inside", "compare/machine", "compare/peers", "compare/processes", "compare/servers"},
    {"compare/probe", "compare/results", "compare/schedule", "compare/threads"},
    {"compare/generate", "compare/serve", "compare/tables", "compare/targets"},
    {"compare/measure", "compare/picture", "compare/plain"},
    {"compare/pretty"},
    {"compare/show"},
    {"compare/report"},
    {"compare/command"},
    {"cli"},
    {"__main__"},
]
LAYER = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def layer(path):
    return LAYER[key(path)]


def key(path):
    """A module's name among the layers: one that is public and named as a core's has a star, one of a
    public package has that in front."""
    name = path.stem
    if path.parent == PACKAGE:
        return f"{name}*" if name in MODULES else name
    return name if path.parent.name.startswith("_") else f"{path.parent.name}/{name}"


def imported(path):
    """The files of the package that a file imports; the package's own names count as ``__init__``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        if folder.with_suffix(".py").exists():
            yield folder.with_suffix(".py")
            continue
        modules = [folder / f"{alias.name}.py" for alias in node.names]
        yield from (module if module.exists() else folder / "__init__.py" for module in modules)


def sources():
    return [path for path in PACKAGE.rglob("*.py") if path.parent.name != "_compiled"]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    for other in imported(path):
        if path.name == "_backend.py" and other.parent.name == "_pure":
            continue  # for the type checker
        if path == PACKAGE / "_pure" / "__init__.py":
            pytest.fail("the core's __init__ imports nothing")
        assert layer(other) < layer(path), f"{path.name} imports {other.name}"
        assert "_compiled" not in other.parts


def test_no_module_is_outside_the_layers():
    assert {key(path) for path in sources()} == set(LAYER)


def test_the_cores_do_not_import_each_other():
    for path in (PACKAGE / "_pure").glob("*.py"):
        assert "_compiled" not in "".join(str(other) for other in imported(path))


def public(module):
    """The classes of a core's module, and what each has of its own, private names included."""
    noise = {"__dict__", "__weakref__", "__doc__", "__module__", "__class__", "__repr__", "__slots__"}
    noise |= {"__reduce__", "__setstate__"}
    return {
        name: {key for key in vars(value) if key not in noise and not key.startswith("__pyx")}
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }


def stub(name):
    """The same from a stub."""
    tree = ast.parse((PACKAGE / "_compiled" / f"{name}.pyi").read_text())
    return {node.name: set(members(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def members(node):
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            yield item.name
        elif isinstance(item, ast.AnnAssign):
            yield item.target.id


# Python's own protocol of making an object, which Cython and a stub spell differently.
MAKING = {"__new__", "__init__", "__reduce_cython__", "__setstate_cython__"}

# What comes with __eq__ in Cython.
ORDERING = {"__lt__", "__le__", "__gt__", "__ge__"}

# The pure core has asyncio's own handles and TLS, and Python's own coroutines.
ONLY_COMPILED = {"Arena", "Kind", "Reading"}
WITHOUT_TWIN = ("handles", "tls", "tls_direct", "tls_engine")
SELECTOR = {"get_key"}
FROM_ASYNCIO = {"call_soon", "call_soon_threadsafe", "create_future", "create_task", "get_debug", "set_debug"}
FROM_ASYNCIO |= {"stop", "_add_callback", "_write_to_self"}


def assigned(module, cls):
    """The attributes that a class's __init__ sets."""
    tree = ast.parse(Path(module.__file__).read_text())
    init = next(
        item
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == cls
        for item in [*node.body, None]
        if item is None or (isinstance(item, ast.FunctionDef) and item.name == "__init__")
    )
    stores = [node for node in ast.walk(init or tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in stores if isinstance(node.ctx, ast.Store)}


if "compiled" in CORES:  # without the extension there is nothing to compare with

    @pytest.fixture(scope="module")
    def compiled():
        modules = {name: getattr(load_core("compiled")._backend, name) for name in MODULES}
        return modules | {name: import_module(f"cyreactor._compiled.{name}") for name in WITHOUT_TWIN}

    @pytest.mark.parametrize("name", [*MODULES, *WITHOUT_TWIN])
    def test_stubs_are_complete(compiled, name):
        found, described = public(compiled[name]), stub(name)
        assert found.keys() == described.keys()
        for cls, names in found.items():
            assert names - MAKING - ORDERING == described[cls] - MAKING - ORDERING, cls

    @pytest.mark.parametrize("name", MODULES)
    def test_twins_have_the_same_names(compiled, name):
        pure = getattr(load_core("pure")._backend, name)
        for cls, names in public(compiled[name]).items():
            if cls in ONLY_COMPILED:
                continue
            twin = getattr(pure, cls)
            annotated = (getattr(base, "__annotations__", ()) for base in twin.__mro__)
            has = {*dir(twin), *(key for keys in annotated for key in keys), *assigned(pure, cls)}
            assert names - MAKING - ORDERING - FROM_ASYNCIO - SELECTOR <= has, cls
