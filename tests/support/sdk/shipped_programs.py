"""Programs of users whose function is run as a trial: `tests/sdk/test_shipped_programs.py` runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Program:
    """A program, and the outcome of its function as a trial."""

    name: str
    main: str
    """The text of ``main.py``, which defines ``training(x)``."""
    others: Mapping[str, str] = field(default_factory=dict)
    """The texts of other files."""
    paths: tuple[str, ...] = ()
    """Folders in PYTHONPATH."""
    elsewhere: bool = True
    """True: the trial runs without the program's files."""
    refused: str | None = None
    """Part of the message of a function that can't be shipped; None: the trial gives the value of a call."""

    @property
    def files(self) -> dict[str, str]:
        """The texts of all files."""
        return {"main.py": self.main, **self.others}


_DIST_INFO = {
    "lib/rarelib-1.0.dist-info/METADATA": "Name: rarelib\nVersion: 1.0\n",
    "lib/rarelib-1.0.dist-info/RECORD": "rarelib/__init__.py,,\nrarelib-1.0.dist-info/METADATA,,\n",
}

PROGRAMS = [
    # ------------------------------------------------------------------ functions
    Program("global variables and a helper", """
        SCALE = 3
        def helper(x):
            return SCALE * x
        def training(x):
            return helper(x) + 0.5
    """),
    Program("closure", """
        def make(offset):
            def training(x):
                return x + offset
            return training
        training = make(0.25)
    """),
    Program("closure whose cell is empty", """
        def make():
            def training(x):
                try:
                    return x + later
                except NameError:
                    return x
            if False:
                later = 1
            return training
        training = make()
    """),
    Program("nested closures that count", """
        def make():
            count = 0
            def training(x):
                nonlocal count
                count += x
                return count
            return training
        training = make()
    """),
    Program("recursion", """
        def training(x):
            return 1 if x == 0 else x * training(x - 1)
    """),
    Program("mutual recursion", """
        def even(n):
            return True if n == 0 else odd(n - 1)
        def odd(n):
            return False if n == 0 else even(n - 1)
        def training(x):
            return float(even(x)) + 2 * float(odd(x))
    """),
    Program("lambda", "training = lambda x: x / 4"),
    Program("partial", """
        import functools
        def scaled(x, scale, *, offset=0):
            return x * scale + offset
        training = functools.partial(scaled, scale=2, offset=1)
    """),
    Program("partial of a partial", """
        import functools
        def scaled(x, scale, offset):
            return x * scale + offset
        training = functools.partial(functools.partial(scaled, scale=2), offset=1)
    """),
    Program("bound method", """
        class Trainer:
            def __init__(self, scale):
                self.scale = scale
            def run(self, x):
                return self.scale * x
        training = Trainer(4).run
    """),
    Program("class method", """
        class Trainer:
            scale = 5
            @classmethod
            def run(cls, x):
                return cls.scale * x
        training = Trainer.run
    """),
    Program("static method", """
        class Trainer:
            @staticmethod
            def run(x):
                return 6 * x
        training = Trainer.run
    """),
    Program("callable object", """
        class Trainer:
            def __init__(self):
                self.factor = 7
            def __call__(self, x):
                return self.factor * x
        training = Trainer()
    """),
    Program("positional-only and keyword-only arguments with defaults", """
        SCALE = 2
        def training(x, /, *rest, scale=SCALE, **others):
            return x * scale + len(rest) + len(others)
    """),
    Program("decorator with wraps", """
        import functools
        def doubled(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return 2 * function(*args, **kwargs)
            return wrapper
        @doubled
        def training(x):
            return x + 1
    """),
    Program("decorator that computes the value of a function without one", """
        import functools
        LOSSES = []
        def measured(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                function(*args, **kwargs)
                return sum(LOSSES)
            return wrapper
        @measured
        def training(x):
            LOSSES.append(x * 0.5)
    """),
    Program("decorator class", """
        import functools
        class Counted:
            def __init__(self, function):
                functools.update_wrapper(self, function)
                self.function, self.calls = function, 0
            def __call__(self, *args, **kwargs):
                self.calls += 1
                return self.function(*args, **kwargs) + self.calls
        @Counted
        def training(x):
            return x
    """),
    Program("contextmanager", """
        import contextlib
        @contextlib.contextmanager
        def scaled(x):
            yield 2 * x
        def training(x):
            with scaled(x) as value:
                return value
    """),
    Program("made by exec", """
        namespace = {}
        exec("def training(x):\\n    return x * 8\\n", namespace)
        training = namespace["training"]
    """),
    Program("name that is not ASCII", """
        def entraîner(x):
            return x + 1
        training = entraîner
    """),
    Program("module named after a keyword", """
        def training(x):
            return x
        training.__name__ = "class"
    """),
    Program("coroutine run by the function", """
        import asyncio
        async def fit(x):
            await asyncio.sleep(0)
            return x * 3
        def training(x):
            return asyncio.run(fit(x))
    """),
    # ------------------------------------------------------------------ caches and functools
    Program("lru_cache", """
        from functools import lru_cache
        @lru_cache(maxsize=32)
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        def training(x):
            return fib(x + 20)
    """),
    Program("cache with a full cache and its numbers", """
        from functools import cache
        @cache
        def square(n):
            return n * n
        square(3)
        def training(x):
            square.cache_clear()
            return square(x) + square.cache_info().currsize
    """),
    Program("lru_cache as the function itself", """
        from functools import lru_cache
        @lru_cache
        def training(x):
            return x + 0.125
    """),
    Program("lru_cache on a method", """
        from functools import lru_cache
        class Data:
            @lru_cache(maxsize=None)
            def load(self, n):
                return n * 2
        data = Data()
        def training(x):
            return data.load(x)
    """),
    Program("cached_property", """
        from functools import cached_property
        class Data:
            @cached_property
            def size(self):
                return 12
        def training(x):
            data = Data()
            return data.size + data.__dict__["size"] + x
    """),
    Program("singledispatch", """
        from functools import singledispatch
        @singledispatch
        def size(value):
            return 0
        @size.register
        def _(value: int):
            return 10 * value
        @size.register(list)
        def _(value):
            return len(value)
        def training(x):
            return size(x) + size([1, 2]) + size(None)
    """),
    Program("singledispatchmethod and partialmethod", """
        from functools import partialmethod, singledispatchmethod
        class Model:
            def scaled(self, x, scale):
                return x * scale
            doubled = partialmethod(scaled, scale=2)
            @singledispatchmethod
            def fit(self, value):
                return 0
            @fit.register
            def _(self, value: int):
                return self.doubled(value)
        def training(x):
            return Model().fit(x)
    """),
    Program("total_ordering", """
        from functools import total_ordering
        @total_ordering
        class Version:
            def __init__(self, n):
                self.n = n
            def __eq__(self, other):
                return self.n == other.n
            def __lt__(self, other):
                return self.n < other.n
        def training(x):
            return float(Version(x) >= Version(2)) + x
    """),
    Program("operator.itemgetter, reduce and builtins", """
        import operator
        from functools import reduce
        second, add = operator.itemgetter(1), operator.add
        biggest = max
        def training(x):
            return reduce(add, [x, second([1, 2])]) + biggest(1, 2)
    """),
    # ------------------------------------------------------------------ classes
    Program("dataclasses", """
        from dataclasses import dataclass, field, fields, asdict, MISSING
        @dataclass(frozen=True)
        class Config:
            scale: int = 2
            items: list = field(default_factory=list)
        @dataclass
        class More(Config.__mro__[1]):
            offset: float = 0.5
        CONFIG = Config(3)
        def training(x):
            @dataclass
            class Inner(type("Base", (), {})):
                size: int
            assert fields(Config)[1].default is MISSING
            return asdict(CONFIG)["scale"] * x + More().offset + Inner(1).size
    """),
    Program("dataclass extended in the trial", """
        from dataclasses import dataclass
        @dataclass
        class Base:
            required: int
        def training(x):
            @dataclass
            class Derived(Base):
                other: int
            try:
                Derived(1)
            except TypeError:
                return Derived(x, 2).required
            return 0
    """),
    Program("enums", """
        import enum
        class Kind(enum.Enum):
            A = 1
            B = 2
        class Flags(enum.Flag):
            R = 1
            W = 2
        BOTH = Flags.R | Flags.W
        def training(x):
            return Kind(2).value + (Kind.B is Kind["B"]) + (Flags.W in BOTH) + x
    """),
    Program("own exceptions", """
        class Diverged(Exception):
            def __init__(self, step, loss):
                super().__init__(f"step {step}")
                self.loss = loss
        def fit(x):
            raise Diverged(3, x / 2)
        def training(x):
            try:
                fit(x)
            except Diverged as error:
                return error.loss
    """),
    Program("abstract classes, slots and super", """
        import abc
        class Model(abc.ABC):
            __slots__ = ("scale",)
            def __init__(self):
                self.scale = 2
            @abc.abstractmethod
            def fit(self, x): ...
        class Mine(Model):
            def __init__(self):
                super().__init__()
            def fit(self, x):
                return x * self.scale
        def training(x):
            return Mine().fit(x)
    """),
    Program("metaclass and __init_subclass__", """
        class Registry(type):
            names = []
            def __new__(mcs, name, bases, namespace, **kwargs):
                mcs.names.append(name)
                return super().__new__(mcs, name, bases, namespace, **kwargs)
        class Base(metaclass=Registry):
            kinds = {}
            def __init_subclass__(cls, kind=None, **kwargs):
                super().__init_subclass__(**kwargs)
                Base.kinds[kind] = cls
        class Net(Base, kind="net"):
            size = 9
        def training(x):
            return Base.kinds["net"].size + x
    """),
    Program("namedtuple, NamedTuple and TypedDict", """
        from collections import namedtuple
        from typing import NamedTuple, TypedDict
        Point = namedtuple("Point", "a b")
        class Pair(NamedTuple):
            a: int
            b: int = 4
        class Options(TypedDict, total=False):
            scale: int
        def training(x):
            options: Options = {"scale": 2}
            return Point(x, 1).a * options["scale"] + Pair(1).b
    """),
    Program("generic classes and protocols", """
        from typing import Generic, Protocol, TypeVar
        T = TypeVar("T")
        class Scorer(Protocol):
            def score(self, x: int) -> float: ...
        class Box(Generic[T]):
            def __init__(self, value: T) -> None:
                self.value = value
        class Half:
            def score(self, x: int) -> float:
                return x / 2
        def use(scorer: Scorer, box: Box[int]) -> float:
            return scorer.score(box.value)
        def training(x):
            return use(Half(), Box[int](x))
    """),
    Program("module-like object of layers", """
        import numpy
        class Module:
            def __init__(self):
                self._children = {}
            def __setattr__(self, name, value):
                if isinstance(value, Module):
                    self._children[name] = value
                object.__setattr__(self, name, value)
            def __getattr__(self, name):
                raise AttributeError(name)
            def __call__(self, x):
                return self.forward(x)
        class Linear(Module):
            def __init__(self, n):
                super().__init__()
                self.weight = numpy.arange(n * n, dtype=float).reshape(n, n)
            def forward(self, x):
                return self.weight @ x
        class Net(Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = Linear(3), Linear(3)
            def forward(self, x):
                return self.second(self.first(x))
        net = Net()
        def training(x):
            return float(net(numpy.ones(3) * x).sum())
    """),
    Program("singleton sentinel", """
        class _Missing: pass
        MISSING = _Missing()
        def get(values, key, default=MISSING):
            value = values.get(key, default)
            return -1 if value is MISSING else value
        def training(x):
            return get({}, "a") + x
    """),
    Program("class defined twice, as in a notebook", """
        class Model:
            scale = 1
        old = Model()
        class Model:
            scale = 10
        def training(x):
            import pickle
            return pickle.loads(pickle.dumps(Model())).scale * x + old.scale
    """),
    Program("function defined twice, as in a notebook", """
        def helper(x):
            return x
        first = helper
        def helper(x):
            return 2 * x
        def training(x):
            return helper(x) + first(x)
    """),
    # ------------------------------------------------------------------ pickled again in the trial
    Program("pickle of an own class and of its nested one", """
        import pickle
        class Model:
            class Part:
                size = 2
            def __init__(self, x):
                self.x = x
        def training(x):
            part = pickle.loads(pickle.dumps(Model.Part()))
            with open("model.pkl", "wb") as file:
                pickle.dump(Model(x), file)
            with open("model.pkl", "rb") as file:
                return pickle.load(file).x + part.size
    """),
    Program("copy and deepcopy", """
        import copy
        class Model:
            def __init__(self):
                self.parts = [1, 2]
        def training(x):
            return sum(copy.deepcopy(Model()).parts) + x
    """),
    Program("multiprocessing.Pool", """
        import multiprocessing
        def square(n):
            return n * n
        def training(x):
            with multiprocessing.Pool(2) as pool:
                return sum(pool.map(square, range(x)))
    """),
    Program("ProcessPoolExecutor with an own class", """
        from concurrent.futures import ProcessPoolExecutor
        class Job:
            def __init__(self, n):
                self.n = n
        def work(job):
            return Job(job.n * 2)
        def training(x):
            with ProcessPoolExecutor(2) as pool:
                return sum(job.n for job in pool.map(work, [Job(1), Job(x)]))
    """),
    Program("spawned processes and a __main__ guard", """
        import multiprocessing
        class Job:
            def __init__(self, n):
                self.n = n
        def work(job):
            return job.n * 3
        def training(x):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return sum(pool.map(work, [Job(1), Job(x)]))
    """),
    Program("spawned processes and own modules", """
        import jobs
        def training(x):
            return jobs.run(x)
    """, {"jobs.py": """
        import multiprocessing
        def work(n):
            return n * 3
        def run(x):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return sum(pool.map(work, [1, x]))
    """}),
    Program("joblib.dump of a transformer with an own function", """
        import joblib
        from sklearn.preprocessing import FunctionTransformer
        def double(values):
            return values * 2
        def training(x):
            import numpy
            joblib.dump(FunctionTransformer(double), "t.joblib")
            return float(joblib.load("t.joblib").transform(numpy.ones((1, 1)) * x)[0, 0])
    """),
    Program("joblib.Parallel with processes", """
        from joblib import Parallel, delayed
        class Model:
            def __init__(self, n):
                self.n = n
        def fit(n):
            return Model(n * 2)
        def training(x):
            return sum(m.n for m in Parallel(n_jobs=2)(delayed(fit)(n) for n in range(x)))
    """),
    # ------------------------------------------------------------------ modules of the user's own
    Program("own module with a class that is pickled in the trial", """
        import pickle
        from models import Net
        def training(x):
            return pickle.loads(pickle.dumps(Net(x))).x + Net.__module__.count("models")
    """, {"models.py": """
        class Net:
            def __init__(self, x):
                self.x = x
    """}),
    Program("function of an own module", """
        from train import training
    """, {"train.py": """
        import threading
        LOCK = threading.Lock()
        COUNT = 0
        def training(x):
            global COUNT
            with LOCK:
                COUNT += x
            return COUNT
    """}),
    Program("own module with locks, clients, loggers and caches", """
        import services
        def training(x):
            return services.score(x)
    """, {"services.py": """
        import functools, logging, socket, sqlite3, threading
        logger = logging.getLogger(__name__)
        lock = threading.RLock()
        connection = sqlite3.connect(":memory:")
        endpoint = socket.socket()
        pool = threading.local()
        lines = (line for line in "abc")
        @functools.lru_cache
        def score(x):
            with lock:
                logger.info("score")
                return connection.execute("select ?", (x,)).fetchone()[0] + len(list(lines))
    """}),
    Program("package with relative imports", """
        from proj.train import training
    """, {
        "proj/__init__.py": "from .config import SCALE\n",
        "proj/config.py": "SCALE = 5\n",
        "proj/train.py": """
            from . import SCALE
            from .models import net
            def training(x):
                from .lazy import offset
                return net.Net().score(x) * SCALE + offset()
        """,
        "proj/models/__init__.py": "",
        "proj/models/net.py": """
            from ..config import SCALE
            class Net:
                def score(self, x):
                    return x + SCALE
        """,
        "proj/lazy.py": "def offset():\n    return 0.5\n",
    }),
    Program("namespace package", """
        from space.parts.one import one
        import space.parts.two as two
        def training(x):
            return one(x) + two.two(x)
    """, {
        "space/parts/one.py": "def one(x):\n    return x\n",
        "other/space/parts/two.py": "from space.parts.one import one\ndef two(x):\n    return 2 * one(x)\n",
    }, paths=("other",)),
    Program("modules that are imported while the function runs", """
        def training(x):
            import importlib
            import late
            from package import part
            return late.late(x) + part.part(x) + importlib.import_module("dynamic").VALUE
        import dynamic
    """, {
        "late.py": "import deeper\ndef late(x):\n    return deeper.VALUE * x\n",
        "deeper.py": "VALUE = 2\n",
        "package/__init__.py": "",
        "package/part.py": "def part(x):\n    return x\n",
        "dynamic.py": "VALUE = 100\n",
    }, elsewhere=False),
    Program("plugins that a package finds in its directory", """
        import plugins
        def training(x):
            return plugins.ALL["double"](x)
    """, {
        "plugins/__init__.py": """
            import importlib, pkgutil
            ALL = {}
            def register(function):
                ALL[function.__name__] = function
                return function
            for found in pkgutil.iter_modules(__path__):
                importlib.import_module(f"{__name__}.{found.name}")
        """,
        "plugins/one.py": "from plugins import register\n@register\ndef double(x):\n    return 2 * x\n",
    }, elsewhere=False),
    Program("variable of a module set from outside", """
        import settings
        settings.SCALE = 7
        settings.OPTIONS["offset"] = 1
        settings.NEW = 2
        def training(x):
            return settings.score(x) + settings.NEW
    """, {"settings.py": """
        SCALE = 1
        OPTIONS = {"offset": 0}
        SAME = OPTIONS
        def score(x):
            return SCALE * x + SAME["offset"]
    """}),
    Program("function of a module replaced from outside", """
        import helpers
        def fake(x):
            return 50 * x
        helpers.score = fake
        def training(x):
            return helpers.run(x)
    """, {"helpers.py": "def score(x):\n    return x\ndef run(x):\n    return score(x) + 1\n"}),
    Program("module edited after its import", """
        import helpers
        with open("helpers.py", "w") as file:
            file.write("def score(x):\\n    return 99\\n")
        def training(x):
            return helpers.score(x)
    """, {"helpers.py": "def score(x):\n    return x * 2\n"}),
    Program("module made in memory", """
        import sys, types
        virtual = types.ModuleType("virtual")
        exec("def score(x):\\n    return x * 11\\n", virtual.__dict__)
        sys.modules["virtual"] = virtual
        from virtual import score
        def training(x):
            return score(x)
    """),
    Program("closure made by an own module with a lock", """
        from factory import make
        training = make(3)
    """, {"factory.py": """
        import threading
        LOCK = threading.Lock()
        def make(scale):
            def training(x):
                with LOCK:
                    return scale * x
            return training
    """}),
    Program("decorator of an own module", """
        from decorators import logged
        @logged
        def training(x):
            return x * 2
    """, {"decorators.py": """
        import functools, threading
        _lock = threading.Lock()
        _calls = []
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                with _lock:
                    _calls.append(function.__name__)
                return function(*args, **kwargs) + len(_calls)
            return wrapper
    """}),
    Program("own module named as one of Python's", """
        import statistics
        def training(x):
            return statistics.mean([x, 5])
    """, {"statistics.py": "def mean(values):\n    return -sum(values)\n"}),
    Program("data beside a module, on this machine", """
        import loader
        def training(x):
            return loader.load() + x
    """, {
        "loader.py": """
            from pathlib import Path
            import pkgutil
            def load():
                text = (Path(__file__).parent / "data.txt").read_text()
                return int(text) + int(pkgutil.get_data(__name__, "data.txt"))
        """,
        "data.txt": "40",
    }, elsewhere=False),
    Program("source of a class, as inspect shows it", """
        import inspect
        import models
        def training(x):
            return len(inspect.getsource(models.Net)) + x
    """, {"models.py": "class Net:\n    size = 1\n"}),
    Program("module that runs only as a program", """
        import guarded
        def training(x):
            return guarded.value(x)
    """, {"guarded.py": """
        def value(x):
            return x + 1
        if __name__ == "__main__":
            raise SystemExit("run as a program")
    """}),
    # ------------------------------------------------------------------ libraries
    Program("library on PYTHONPATH with its metadata", """
        from rarelib import Client
        def training(x):
            return Client().score(x)
    """, {
        **_DIST_INFO,
        "lib/rarelib/__init__.py": """
            import functools, threading
            _lock = threading.Lock()
            class Client:
                @functools.lru_cache
                def score(self, x):
                    with _lock:
                        return x * 3
        """,
    }, paths=("lib",), elsewhere=False),
    Program("own module beside libraries in one folder", """
        import mine
        def training(x):
            return mine.score(x)
    """, {
        **_DIST_INFO,
        "lib/rarelib/__init__.py": "",
        "lib/mine.py": "def score(x):\n    return x * 4\n",
    }, paths=("lib",)),
    Program("editable installation", """
        import editable
        def training(x):
            return editable.score(x)
    """, {
        "src/editable.egg-info/PKG-INFO": "Name: editable\n",
        "src/editable.egg-info/top_level.txt": "editable\n",
        "src/editable/__init__.py": "from editable.core import score\n",
        "src/editable/core.py": "def score(x):\n    return x * 5\n",
    }, paths=("src",)),
    Program("arrays of NumPy", """
        import numpy as np
        from numpy.linalg import norm
        X, generator = np.arange(6.0).reshape(2, 3), np.random.default_rng(7)
        def training(x):
            return float(norm(X) * x) + float(generator.random()) + np.pi
    """),
    Program("random generator with a state", """
        import random
        generator = random.Random(7)
        def training(x):
            return generator.random() * x
    """),
    Program("standard streams and loggers", """
        import logging, sys
        logger = logging.getLogger("mine")
        out = sys.stdout
        def training(x):
            logger.warning("x")
            print(x, file=out)
            return x
    """),
    # ------------------------------------------------------------------ less frequent
    Program("dataclasses with slots, keyword-only fields and init variables", """
       from dataclasses import dataclass, field, replace, InitVar, KW_ONLY
       @dataclass(slots=True, frozen=True)
       class A:
           a: int
           b: list = field(default_factory=list)
       @dataclass
       class B:
           x: int
           _: KW_ONLY
           y: InitVar[int] = 3
           def __post_init__(self, y): self.z = self.x + y
       @dataclass
       class C(B):
           w: int = 4
       def training(x):
           return replace(A(1), a=x).a + B(1).z + C(x, y=2).z + hash(A(1, ())) * 0
    """),
    Program("enums of every base, with attributes of their members", """
       import enum
       class S(enum.StrEnum):
           A = enum.auto()
           B = "b"
           @property
           def n(self): return len(self.value)
       class I(enum.IntEnum):
           X = 4
           Y = 4
       class F(enum.IntFlag):
           P = 1
           Q = 2
       class P(enum.Enum):
           EARTH = (1.0, 2.0)
           def __init__(self, a, b): self.a = a
       def training(x):
           import pickle
           assert pickle.loads(pickle.dumps(S.A)) is S.A
           assert pickle.loads(pickle.dumps(F.P | F.Q)) == 3
           return S.B.n + I.Y + P.EARTH.a + x
    """),
    Program("attributes of the function itself", """
       def training(x):
           training.calls += 1
           return training.calls + x
       training.calls = 5
    """),
    Program("containers of the standard library", """
       import collections, itertools, re, types, decimal, fractions, datetime, pathlib, uuid
       D = collections.defaultdict(lambda: 7)
       C = itertools.count(5)
       R = re.compile("a+")
       N = types.SimpleNamespace(a=1)
       Q = collections.deque([1, 2], maxlen=3)
       O = collections.OrderedDict(a=1)
       K = O.keys()
       def training(x):
           return D["q"] + next(C) + len(R.findall("aab")) + N.a + sum(Q) + len(K) + x
    """),
    Program("models of pydantic", """
       from pydantic import BaseModel, Field, field_validator
       class Config(BaseModel):
           scale: int = Field(default=2, ge=1)
           name: str = "n"
           @field_validator("name")
           @classmethod
           def _n(cls, v): return v.upper()
       CONFIG = Config(scale=3, name="x")
       def training(x):
           import pickle
           c = pickle.loads(pickle.dumps(Config(scale=x, name="a")))
           return CONFIG.scale * c.scale + len(c.name)
    """),
    Program("classes of attrs", """
       import attrs
       @attrs.define
       class Config:
           scale: int = attrs.field(default=2, validator=attrs.validators.instance_of(int))
           items: list = attrs.Factory(list)
       def training(x):
           return attrs.evolve(Config(), scale=x).scale + len(Config().items)
    """),
    Program("descriptors that are told their names", """
       class D:
           def __set_name__(self, owner, name): self.name = "_" + name
           def __get__(self, o, t=None): return getattr(o, self.name)
           def __set__(self, o, v): setattr(o, self.name, v * 2)
       class A:
           v = D()
       def training(x):
           a = A(); a.v = x
           return a.v
    """),
    Program("objects whose comparisons fail", """
       class Odd:
           def __getattr__(self, name): return lambda *a, **k: 1
       class Odd2:
           def __eq__(self, other): raise ValueError("ambiguous")
           def __bool__(self): raise ValueError("ambiguous")
           def __len__(self): raise TypeError("no")
           __hash__ = None
           shape = None
       odd2 = Odd2()
       def training(x):
           return x + (odd2.shape is None)
    """),
    Program("own module of a class of its own", """
       import lazy
       def training(x): return lazy.value + x
    """, {"lazy.py":"""
       import sys, types
       class Lazy(types.ModuleType):
           @property
           def value(self): return 11
       sys.modules[__name__].__class__ = Lazy
    """}),
    Program("own module that replaces itself", """
       import proxy
       def training(x): return proxy.value + x
    """, {"proxy.py":"""
       import sys
       class Proxy:
           value = 12
       sys.modules[__name__] = Proxy()
    """}),
    Program("own module with __getattr__", """
       import lazy
       def training(x): return lazy.anything + x
    """, {"lazy.py":"""
       def __getattr__(name):
           if name == "anything": return 13
           raise AttributeError(name)
    """}),
    Program("own modules with star imports", """
       from helpers import *
       def training(x): return helper(x) + SCALE
    """, {"helpers.py":"from more import *\ndef helper(x):\n    return x * SCALE\n", "more.py":"import threading\nL = threading.Lock()\nSCALE = 2\n__all__ = ['SCALE']\n"}),
    Program("own modules that import each other", """
       import a
       def training(x): return a.f(x)
    """, {"a.py":"import b\ndef f(x):\n    return b.g(x) + 1\ndef h(x):\n    return x\n", "b.py":"import a\ndef g(x):\n    return a.h(x) * 2\n"}),
    Program("state of a module that its functions set", """
       import state
       state.configure(5)
       def training(x): return state.get() + x
    """, {"state.py":"""
       _level = 1
       _opts = {}
       _names = []
       _seen = set()
       def configure(n):
           global _level
           _level = n
           _opts["k"] = n
           _names.append(n)
           _seen.add(n)
       def get():
           return _level + _opts["k"] + len(_names) + sum(_seen)
    """}),
    Program("own module that runs an experiment while it is imported", """
       import sweep
       training = None
       def training(x): return sweep.RESULT + x
    """, {"sweep.py":"""
       def fit(x): return x * 3
       from sparksweep import Experiment
       e = Experiment(fit, {"x": [1]})
       assert "sweep" in e.to_yaml()
       RESULT = 1
    """}),
    Program("class registered with a module of the user's own", """
       import reg
       @reg.register
       class Mine:
           v = 3
       def training(x): return reg.REG["Mine"].v + x
    """, {"reg.py":"""
       REG = {}
       def register(c):
           REG[c.__name__] = c
           return c
    """}),
    Program("class that extends one of an own module", """
       import base, pickle
       class Net(base.Net):
           def f(self, x): return super().f(x) + 1
       def training(x):
           return pickle.loads(pickle.dumps(Net())).f(x)
    """, {"base.py":"class Net:\n    def f(self, x):\n        return x\n"}),
    Program("cells of a notebook, some run twice", """
       import linecache
       ns = globals()
       for i, cell in enumerate(["A = 2\\nclass M:\\n    k = 1\\n", "def h(x):\\n    return M.k * A * x\\n", "class M:\\n    k = 5\\n", "def training(x):\\n    import pickle\\n    return pickle.loads(pickle.dumps(M())).k + h(x)\\n"]):
           exec(compile(cell, f"<ipython-input-{i}>", "exec"), ns)
    """),
    Program("processes of a fork server", """
       import multiprocessing as mp
       class J:
           def __init__(s, n): s.n = n
       def w(j): return J(j.n + 1)
       def training(x):
           ctx = mp.get_context("forkserver")
           with ctx.Pool(1) as p:
               return sum(j.n for j in p.map(w, [J(x)]))
    """),
    Program("global variable that a helper counts up", """
       N = 0
       def bump():
           global N
           N += 1
       def training(x):
           bump(); bump()
           return N + x
    """),
    Program("local class that makes others of itself", """
       def make():
           class Local:
               def __init__(self, v): self.v = v
               def again(self): return Local(self.v + 1)
           def training(x): return Local(x).again().v
           return training
       training = make()
    """),
    Program("type variables and new types", """
       import typing
       T = typing.TypeVar("T", bound=float)
       P = typing.ParamSpec("P")
       U = typing.NewType("U", int)
       def deco(f: typing.Callable[P, T]) -> typing.Callable[P, T]: return f
       @deco
       def training(x: U) -> T: return U(x)
    """),
    Program("annotations as text, read in the trial", """
       from __future__ import annotations
       import typing
       from dataclasses import dataclass
       class Inner: pass
       @dataclass
       class A:
           x: int
           i: typing.Optional[Inner] = None
       def training(x):
           return len(typing.get_type_hints(A)) + x
    """),
    Program("library on PYTHONPATH with an egg-info", """
       import foo
       def training(x): return foo.f(x)
    """, {"lib/foo-2.0-py3.11.egg-info/PKG-INFO":"Name: foo\n", "lib/foo/__init__.py":"import threading\n_l = threading.Lock()\ndef f(x):\n    with _l:\n        return x\n"}, paths=("lib",), elsewhere=False),
    Program("class registered with an abstract one", """
       import abc, numbers
       class Base(abc.ABC): pass
       class V: pass
       Base.register(V)
       def training(x): return isinstance(V(), Base) + x
    """),
    Program("joblib.Memory of an own function", """
       import tempfile
       def f(x): return x * 2
       def training(x):
           import joblib
           return joblib.Memory(tempfile.mkdtemp(), verbose=0).cache(f)(x)
    """),
    Program("files of a package, by importlib.resources", """
        import importlib.resources
        import pkg
        def training(x): return float(importlib.resources.files(pkg).joinpath("d.txt").read_text()) + x
    """, {"pkg/__init__.py": "", "pkg/d.txt": "4"}, elsewhere=False),
    Program("module imported by a name that is computed", """
        import importlib
        def training(x): return importlib.import_module(f"models.m{x}").V + x
    """, {"models/__init__.py": "", "models/m3.py": "from models import deep\nV = deep.V\n", "models/deep.py": "V = 4\n"}),
    Program("module imported by a relative name", """
        import importlib
        def training(x): return importlib.import_module("..b.m", "pkg.a").V + importlib.import_module(".m", "pkg.b").V + x
    """, {"pkg/a/__init__.py": "", "pkg/b/__init__.py": "", "pkg/b/m.py": "V = 4\n"}),
    Program("variable of a module set to an own object", """
       import settings
       class M:
           def f(self, x): return x + 5
       settings.MODEL = M()
       def training(x): return settings.run(x)
    """, {"settings.py": "MODEL = None\ndef run(x):\n    return MODEL.f(x)\n"}),
    Program("variable of a module that was computed, and set later", """
       import settings
       settings.LEVEL = 9
       def training(x): return settings.run(x)
    """, {"settings.py": "import os\nLEVEL = int(os.environ.get('LEVEL_', '3'))\ndef run(x):\n    return LEVEL + x\n"}),
    Program("class of an own module, changed from outside", """
        import models
        def fit(self, x):
            return x * self.scale
        models.Net.fit, models.Net.scale = fit, 9
        models.Net.names.append("a")
        def training(x):
            return models.Net().fit(x) + models.count() + len(models.Net().names)
    """, {"models.py": """
        class Net:
            scale, made = 1, 0
            names = []
            kind = "net"
            def __init__(self):
                Net.made += 1
            def fit(self, x):
                return x
        def count():
            return Net.made
    """}),
    Program("modules in a zip archive", """
        import sys, zipfile
        with zipfile.ZipFile("own.zip", "w") as archive:
            archive.writestr("zipped.py", "import threading\\nLOCK = threading.Lock()\\ndef f(x):\\n    return x * 3\\n")
        sys.path.insert(0, "own.zip")
        import zipped
        def training(x):
            return zipped.f(x)
    """),
    Program("module loaded from a file by its spec", """
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("plug", "sub/plug_file.py")
        plug = importlib.util.module_from_spec(spec)
        sys.modules["plug"] = plug
        spec.loader.exec_module(plug)
        def training(x):
            return plug.f(x)
    """, {"sub/plug_file.py": "import threading\nLOCK = threading.Lock()\ndef f(x):\n    return x + 4\n"}),
    Program("module reloaded after a change", """
        import helpers, importlib, os
        old = helpers.f
        with open("helpers.py", "w") as file:
            file.write("def f(x):\\n    return x * 100\\n")
        os.utime("helpers.py", (1, 1))
        importlib.reload(helpers)
        def training(x):
            return helpers.f(x) + old(x)
    """, {"helpers.py": "def f(x):\n    return x\n"}),
    Program("client that a module makes when it is first needed", """
        import client
        client.get()
        def training(x):
            return client.get().execute("select 5").fetchone()[0] + x
    """, {"client.py": """
        import sqlite3
        _client = None
        def get():
            global _client
            if _client is None:
                _client = sqlite3.connect(":memory:")
            return _client
    """}),
    Program("imports that may be missing", """
        import optional
        def training(x):
            return optional.f(x)
    """, {
        "optional.py": """
            try:
                import no_such_module_anywhere as fast
            except ImportError:
                import slow as fast
            def f(x):
                return x + fast.VALUE
        """,
        "slow.py": "VALUE = 6\n",
    }),
    Program("implementation registered with an own module", """
        import sizes
        class Mine:
            pass
        @sizes.size.register
        def _(value: str):
            return 100
        @sizes.size.register(Mine)
        def _(value):
            return 1000
        def training(x):
            return sizes.size(x) + sizes.size("a") + sizes.size(Mine())
    """, {"sizes.py": """
        import functools, threading
        LOCK = threading.Lock()
        @functools.singledispatch
        def size(value):
            return 1
        @size.register
        def _(value: int):
            return 10
    """}),
    # ------------------------------------------------------------------ refused
    Program("a lock", """
        import threading
        LOCK = threading.Lock()
        def training(x):
            with LOCK:
                return x
    """, refused="because of LOCK (_thread.lock)"),
    Program("a lock in an object", """
        import threading
        class Config:
            def __init__(self):
                self.scale, self.lock = 2, threading.RLock()
        config = Config()
        def training(x):
            return config.scale * x
    """, refused="because of config.lock (_thread.RLock)"),
    Program("a lock deep in containers", """
        import threading
        settings = {"parts": [1, {"guard": threading.Lock()}]}
        def training(x):
            return x + len(settings)
    """, refused="because of settings['parts'][1]['guard']"),
    Program("a lock in a closure", """
        import threading
        def make():
            guard = threading.Lock()
            def training(x):
                with guard:
                    return x
            return training
        training = make()
    """, refused="because of guard (_thread.lock)"),
    Program("a lock of a helper", """
        import threading
        HELD = threading.Lock()
        def helper(x):
            with HELD:
                return x
        def training(x):
            return helper(x)
    """, refused="because of HELD"),
    Program("a lock of a bound method's object", """
        import threading
        class Trainer:
            def __init__(self):
                self.lock = threading.Lock()
            def run(self, x):
                return x
        training = Trainer().run
    """, refused="lock (_thread.lock)"),
    Program("a thread", """
        import threading
        worker = threading.Thread(target=print)
        def training(x):
            return x + worker.daemon
    """, refused="because of worker."),
    Program("an open file", """
        log = open("log.txt", "w+")
        def training(x):
            log.write("x")
            return x
    """, refused="because of log (_io.TextIOWrapper): it is the open file 'log.txt'"),
    Program("an open binary file", """
        log = open("log.bin", "wb")
        def training(x):
            log.write(b"x")
            return x
    """, refused="because of log (_io.BufferedWriter)"),
    Program("a socket", """
        import socket
        connection = socket.socket()
        def training(x):
            return x + connection.family
    """, refused="because of connection (socket.socket)"),
    Program("a database connection", """
        import sqlite3
        class Store:
            def __init__(self):
                self.database = sqlite3.connect(":memory:")
        store = Store()
        def training(x):
            return store.database.execute("select 1").fetchone()[0] + x
    """, refused="because of store.database (sqlite3.Connection)"),
    Program("a generator object", """
        batches = (n for n in range(10))
        def training(x):
            return next(batches) + x
    """, refused="because of batches (generator)"),
    Program("a generator function", """
        def training(x):
            yield x
    """, refused="is a generator function"),
    Program("a coroutine function", """
        async def training(x):
            return x
    """, refused="is a coroutine function"),
    Program("a class", """
        class training:
            def __init__(self, x):
                pass
    """, refused="is a class"),
    Program("an object that is known by its name alone", """
        class Registry:
            def __reduce__(self):
                return "REGISTRY"
        REGISTRY = Registry()
        def training(x):
            return x + (REGISTRY is None)
    """, refused="because of REGISTRY (Registry)"),
    Program("a queue and a pool of processes", """
        import multiprocessing
        queue = multiprocessing.Queue()
        def training(x):
            queue.put(x)
            return x
    """, refused="because of queue"),
    Program("a lock of a class", """
       import threading
       class A:
           lock = threading.Lock()
           def f(self, x): return x
       def training(x): return A().f(x)
    """, refused="A.lock"),
    Program("a dictionary of weak references", """
       import weakref
       class A: pass
       a = A()
       CACHE = weakref.WeakValueDictionary({"a": a})
       def training(x): return x + len(CACHE)
    """, refused="CACHE"),
    Program("a context variable", """
       import contextvars
       V = contextvars.ContextVar("v", default=2)
       def training(x): return x + V.get()
    """, refused="because of V"),
    Program("a pool of threads", """
       import concurrent.futures
       pool = concurrent.futures.ThreadPoolExecutor()
       def training(x): return pool.submit(lambda: x).result()
    """, refused="because of pool"),
    Program("a process", """
       import subprocess
       p = subprocess.Popen(["true"])
       def training(x): return x + p.pid
    """, refused="because of p."),
    Program("a class whose base requires a keyword argument", """
       class Base:
           def __init_subclass__(cls, *, kind, **kw):
               super().__init_subclass__(**kw)
               cls.kind = kind
       class A(Base, kind=4): pass
       def training(x): return A.kind + x
    """, refused="its __init_subclass__ requires kind="),
    Program("a lock in a partial", """
       import functools, threading
       def f(x, lock): return x
       training = functools.partial(f, lock=threading.Lock())
    """, refused="lock"),
    Program("a lock as a default", """
       import threading
       def training(x, lock=threading.Lock()): return x
    """, refused="because of lock"),
    Program("a lock of a module that was changed", """
       import helpers
       def fake(x): return 2
       helpers.score = fake
       def training(x): return helpers.run(x)
    """, {"helpers.py":"import threading\nLOCK = threading.Lock()\ndef score(x):\n    return 1\ndef run(x):\n    with LOCK:\n        return score(x)\n"}, refused="because of"),
]  # fmt: skip
