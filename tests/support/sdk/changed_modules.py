"""Programs that change an object of a module of their own in place: a trial's function finds it changed."""

from support.sdk.shipped_programs import Program

_CLASS = "class C:\n    def __init__(self):\n        self.k = 1\n        self.d = {'k': 1}\n"
_PLUS = (
    "    def use(self, k):\n        self.k = k\n    def put(self, k):\n        self.d['k'] = k\n"
)
_NAMESPACE = "from types import SimpleNamespace as N\nfrom threading import Lock\n"
_DICT = "class A(dict):\n    __getattr__ = dict.__getitem__\n    __setattr__ = dict.__setitem__\n"
_CHANGES: dict[str, tuple[str, str, str]] = {
    "item of a dictionary that was computed": ("settings.CONF['k'] = 4", "CONF = dict(k=1)\n", "CONF['k']"),
    "update of an imported dictionary": ("from settings import CONF; CONF.update(k=4)", "CONF = dict(k=1)\n", "CONF['k']"),
    "operator that changes a dictionary": ("settings.CONF |= {'k': 4}", "CONF = dict(k=1)\n", "CONF['k']"),
    "another name of a dictionary": ("c = settings.CONF; c['k'] = 4", "CONF = dict(k=1)\n", "CONF['k']"),
    "another name at the import": ("from settings import CONF as c; c['k'] = 4", "CONF = dict(k=1)\n", "CONF['k']"),
    "function that fills an ordered dictionary": (
        "settings.use(4)", "from collections import OrderedDict\nCONF = OrderedDict(k=1)\ndef use(k):\n    CONF['k'] = k\n",
        "CONF['k']",
    ),
    "dictionary with default values": (
        "settings.CONF['k'] += 4", "from collections import defaultdict\nCONF = defaultdict(int)\n", "CONF['k']",
    ),
    "counter": ("settings.CONF.update('kkkk')", "from collections import Counter\nCONF = Counter()\n", "CONF['k']"),
    "queue": ("settings.Q.append(4)", "from collections import deque\nQ = deque(maxlen=3)\n", "Q[-1]"),
    "list that was computed": ("settings.L.append(4)", "L = list(range(3))\n", "L[-1]"),
    "array": ("settings.A[0] = 4", "import numpy\nA = numpy.ones(2)\n", "float(A[0])"),
    "attribute of an object": ("settings.c.k = 4", f"{_CLASS}c = C()\n", "c.k"),
    "attribute of a dataclass": (
        "settings.c.k = 4", "import dataclasses\n@dataclasses.dataclass\nclass C:\n    k: int = 1\nc = C()\n", "c.k",
    ),
    "attribute in a slot": (
        "settings.c.k = 4", "class C:\n    __slots__ = ('k',)\n    def __init__(self):\n        self.k = 1\nc = C()\n", "c.k",
    ),
    "attribute of a namespace beside a lock": ("settings.c.k = 4", f"{_NAMESPACE}c = N(k=1, lock=Lock())\n", "c.k"),
    "attribute of an object in an object": ("settings.c.m.k = 4", f"{_NAMESPACE}c = N(m=N(k=1, lock=Lock()))\n", "c.m.k"),
    "options of argparse": (
        "settings.args.k = 4", "import argparse\nargs = argparse.ArgumentParser().parse_args([])\nargs.k = 1\n", "args.k",
    ),
    "attributes set in a loop": ("for n in ['k']: setattr(settings.c, n, 4)", f"{_CLASS}c = C()\n", "c.k"),
    "attributes set by vars": ("vars(settings.c).update(k=4)", f"{_CLASS}c = C()\n", "c.k"),
    "attributes set by __dict__": ("settings.c.__dict__['k'] = 4", f"{_CLASS}c = C()\n", "c.k"),
    "method that sets an attribute": ("settings.c.use(4)", f"{_CLASS}{_PLUS}c = C()\n", "c.k"),
    "method that fills a dictionary": ("settings.c.put(4)", f"{_CLASS}{_PLUS}c = C()\n", "c.d['k']"),
    "item of a dictionary in an object": ("settings.c.d['k'] = 4", f"{_CLASS}c = C()\n", "c.d['k']"),
    "object in a list": ("settings.L[0].k = 4", f"{_CLASS}L = [C()]\n", "L[0].k"),
    "dictionary with its items as attributes": ("settings.c.k = 4", f"{_DICT}c = A(k=1)\n", "c.k"),
    "dictionaries in such a one": ("settings.c.m.k = 4", f"{_DICT}c = A(m=A(k=1))\n", "c.m.k"),
    "attribute of a function": ("settings.f.k = 4", "def f():\n    return f.k\nf.k = 1\n", "f()"),
    "other module that sets it": ("import other; other.parse()", "CONF = dict(k=1)\nLEVEL = int('1')\n", "CONF['k'] * LEVEL"),
    "object that refuses to be changed": (
        "settings.c.k = 4", "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass F:\n    k: int = 1\n"
        f"{_CLASS}c, frozen = C(), F()\n", "c.k + frozen.k",
    ),
}  # fmt: skip
"""By name: what the program does, the start of the module's text, and the expression that its function returns."""
CHANGED_MODULES = [
    Program(
        f"changed module: {name}",
        f"import settings\n{statement}\ndef training(x): return settings.get() + x\n",
        {
            "settings.py": f"import threading\nLOCK = threading.Lock()\n{text}def get():\n    return {value}\n",
            "other.py": "import settings\ndef parse():\n    settings.CONF['k'] = 4\n    settings.LEVEL = 2\n",
        },
    )
    for name, (statement, text, value) in _CHANGES.items()
]
