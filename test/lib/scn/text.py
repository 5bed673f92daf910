# SPDX-License-Identifier: Apache-2.0
"""A scenario's text: lines and the lines indented below them, words, quoted bytes."""
import re

WORD = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")(?:\*(\d+))?|(\S+))')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|.)')
PLAIN = {"r": "\r", "n": "\n", "t": "\t", "0": "\0"}


class Failed(Exception):
    """A step did not go as the scenario says; at `line` unless somebody knows better."""
    def __init__(self, what, line=None):
        super().__init__(what)
        self.line = line


class Quoted(bytes):
    pass


class Line:
    def __init__(self, text, place):
        self.text, self.place, self.below = text, place, []

    def words(self):
        return split(self.text)

    def replace(self, old, new):
        """A copy in which a name has its value, here and below."""
        l = Line(self.text.replace(old, new), self.place)
        l.below = [b.replace(old, new) for b in self.below]
        return l


def unquote(text):
    return ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else PLAIN.get(m[1], m[1]),
                      text[1:-1]).encode("latin-1")


def split(text):
    """Words; what is in quotes becomes bytes, "x"*3 three of them."""
    out = []
    for quoted, times, word in WORD.findall(text):
        out.append(Quoted(unquote(quoted) * int(times or 1)) if quoted else word)
    return out


def read(file):
    top = Line("", file)
    stack = [(-1, top)]
    for n, raw in enumerate(open(file, encoding="latin-1"), 1):
        text = raw.strip()
        depth = len(raw) - len(raw.lstrip("\t"))
        if not text or text.startswith("#"):
            continue
        while stack[-1][0] >= depth:
            stack.pop()
        line = Line(text, "%s:%d" % (file, n))
        stack[-1][1].below.append(line)
        stack.append((depth, line))
    return top.below


def seconds(word):
    m = re.fullmatch(r"(\d+)(ms|s)", word)
    if not m:
        raise Failed("%r is no duration" % word)
    return int(m[1]) / (1000 if m[2] == "ms" else 1)


def take(words, name, default=None):
    """Removes "name VALUE" from the words; its value."""
    if name not in words[:-1]:
        return default
    i = words.index(name)
    value = words[i + 1]
    del words[i:i + 2]
    return value


def flag(words, name):
    if name not in words:
        return False
    words.remove(name)
    return True


def quoted(words):
    """All that is left must be bytes."""
    for w in words:
        if not isinstance(w, Quoted):
            raise Failed("%r is not understood here" % w)
    return b"".join(words)


BLOCK = b"".join(b"%07d " % i for i in range(0, 1 << 16, 8))


def pattern(n, skip=0):
    """`n` bytes that tell where they belong, behind the first `skip`."""
    skip %= len(BLOCK)
    return (BLOCK * ((n + skip) // len(BLOCK) + 1))[skip:skip + n]


def literal(words):
    """Quoted bytes, or "N bytes [after M]": N of the pattern behind its first M."""
    if words[1:2] != ["bytes"]:
        return quoted(words)
    skip = int(take(words, "after", 0))
    return pattern(int(words[0]), skip)


def in_parts(words, size=1 << 20):
    """The same bytes, in parts of at most this size."""
    if words[1:2] != ["bytes"]:
        yield quoted(words)
        return
    skip = int(take(words, "after", 0))
    for at in range(0, int(words[0]), size):
        yield pattern(min(size, int(words[0]) - at), skip + at)


def differ(want, got):
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    near = max(0, at - 20)
    return "byte %d differs (%d wanted, %d there)\n  want %s%r\n  got  %s%r" % (
        at, len(want), len(got), "…" if near else "", want[near:at + 60], "…" if near else "", got[near:at + 60])


def check_fields(lines, fields, only=False):
    """Each line is "name: value", "name: any*thing" or "!name"; `fields` is a list of pairs."""
    seen = set()
    for l in lines:
        if l.text.startswith("!"):
            name, want = l.text[1:].lower(), None
        else:
            name, _, want = l.text.partition(":") if l.text[0] != ":" else (
                lambda t: (":" + t[0], t[1], t[2]))(l.text[1:].partition(":"))
            name, want = name.lower(), want.strip()
        seen.add(name)
        have = [v for k, v in fields if k == name]
        if want is None and have:
            raise Failed("%s should not be there: %r" % (name, have), l)
        if want is not None and not any(match(want, v) for v in have):
            raise Failed("want %s, there is %s" % (l.text, ", ".join(map(repr, have)) or "none") +
                         "\n  among %r" % fields, l)
    extra = [k for k, _ in fields if k not in seen]
    if only and extra:
        raise Failed("fields nobody asked for: %s" % ", ".join(extra))


def match(want, have):
    return re.fullmatch(re.escape(want).replace(r"\*", ".*"), have) is not None
