"""Another generation of the rules of digests, which no release has: what an upgrade to new rules is tested with."""

from bakery.plan import digest
from bakery.plan.digest import Material
from bakery.plan.summary import Base


def _content(material: Material) -> str:
    return digest.sha256(f"3 content {digest.content(material)}")


def _digest(base: Base, content: str) -> str:
    return digest.sha256(f"3 image {base.digest} {content}")


BOTH = (*digest.GENERATIONS, digest.Rules(3, _content, _digest))
