"""The document: CycloneDX 1.5 as JSON (ECMA-424, cyclonedx.org)."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from typing import Any, Dict, List, Optional, Sequence

from tools.bill.parts import OWN, Part

SPECIFICATION = "1.5"


def document(
    parts: Sequence[Part], version: str, t_utc_s: int, arch: str = "", also: Sequence[str] = ()
) -> Dict[str, Any]:
    """The bill of a product: the same parts give the same bytes.

    Args:
        parts: of the product; its own package is the product itself.
        version: of the product.
        t_utc_s: when it was made, seconds of Unix time.
        arch: of the Debian package; empty = an environment.
        also: packages of the distribution that it needs, as in the field Depends.
    """
    own: Optional[Part] = next((p for p in parts if p.name == OWN), None)
    others = [p for p in parts if p is not own]
    product = _product(own, version, arch)
    links = {part.name: [p.reference for p in parts if p.name == part.name] for part in parts}
    made = datetime.datetime.fromtimestamp(t_utc_s, datetime.timezone.utc)
    found: Dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "edge-tools sbom"}]},
            "component": product,
        },
        "components": [_component(p) for p in others] + [_of_distribution(name) for name in also],
        "dependencies": [_dependency(product["bom-ref"], own.needs if own else (), links, also)]
        + [_dependency(p.reference, p.needs, links) for p in others],
    }
    content = repr([found["components"], found["dependencies"], product]).encode()
    digest = hashlib.sha256(content).digest()[:16]
    found["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest, version=4)}"
    return found


def _product(own: Optional[Part], version: str, arch: str) -> Dict[str, Any]:
    kind = f"pkg:deb/{OWN}@{version}?arch={arch}" if arch else f"pkg:pypi/{OWN}@{version}"
    product: Dict[str, Any] = {
        "type": "application",
        "bom-ref": kind,
        "name": OWN,
        "version": version,
        "purl": kind,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    if own is not None and own.sha256:
        product["hashes"] = [{"alg": "SHA-256", "content": own.sha256}]
    return product


def _component(part: Part) -> Dict[str, Any]:
    component: Dict[str, Any] = {
        "type": "library",
        "bom-ref": part.reference,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
    }
    if part.licence:
        licence = {"license": {"name": part.licence}}
        component["licenses"] = [{"expression": part.licence} if part.is_expression else licence]
    if part.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
        component["properties"] = [{"name": "edge-pose:wheel", "value": part.file}]
    if part.home:
        component["externalReferences"] = [{"type": "website", "url": part.home}]
    return component


def _of_distribution(name: str) -> Dict[str, Any]:
    """A package that the distribution brings, in a version of its own."""
    return {
        "type": "library",
        "bom-ref": f"pkg:deb/{name}",
        "name": name,
        "purl": f"pkg:deb/{name}",
        "scope": "required",
        "description": "brought by the distribution, in its own version",
    }


def _dependency(
    reference: str, needs: Sequence[str], links: Dict[str, List[str]], also: Sequence[str] = ()
) -> Dict[str, Any]:
    on = [r for name in needs if name != OWN for r in links.get(name, [])]
    return {"ref": reference, "dependsOn": sorted(set(on)) + [f"pkg:deb/{name}" for name in also]}
