"""The chapters of the demo, in order. Each one does something real and checks what it claims before going on."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from openai import APIStatusError, OpenAI

from imagint_dev.demo import manifests, people, proofs, sheet
from imagint_dev.demo.cluster import Cluster, wait_until
from imagint_dev.demo.narrator import DemoFailedError, Narrator
from imagint_dev.demo.people import ANA, BO, CY, MadeImage, Person

TITLES = {"acme": "Acme Greeting Cards", "globex": "Globex Games"}


@dataclass(slots=True)
class Scene:
    """What the chapters share: where the stack is, who has which key, what was made."""

    narrator: Narrator
    cluster: Cluster
    state: Path
    output: Path
    serve_url: str
    vault_url: str
    keys: dict[str, str] = field(default_factory=dict)
    images: dict[str, list[MadeImage]] = field(default_factory=dict)

    def api(self, tenant: str) -> OpenAI:
        """The official client with this tenant's key."""
        return people.client(f"{self.serve_url}/{tenant}/v1", self.keys[tenant])

    def subject(self, person: Person) -> str:
        """The handle the Gateway answered with: the only name a person has outside it."""
        return self.images[person.name][0].subject


def tenants(scene: Scene) -> None:
    """Two tenants appear."""
    tell, cluster = scene.narrator, scene.cluster
    tell.chapter(
        "Two tenants appear",
        "A platform engineer applies one manifest each. The operator makes the walls and a Vault key.",
    )
    tell.manifest(manifests.TENANT.format(tenant="acme", title=TITLES["acme"]))
    for tenant, title in TITLES.items():
        with tell.step(f"kubectl apply tenant/{tenant} → Ready", figure="tenant_ready_s"):
            cluster.apply(manifests.TENANT.format(tenant=tenant, title=title))
            cluster.wait_condition("tenant", tenant, "Ready")
    names = "networkpolicy,resourcequota,limitrange,rolebinding"
    tell.command(f"kubectl get {names} -n tenant-acme", cluster.run("get", names, "-n", "tenant-acme"))


def models(scene: Scene) -> None:
    """A model is deployed."""
    tell, cluster = scene.narrator, scene.cluster
    tell.chapter(
        "A model is deployed",
        "Each tenant team applies an API key and a model in its own namespace. No caller meets a revision of a model "
        "before its test pictures were looked at and found right.",
    )
    tell.manifest(manifests.MODEL.format(tenant="acme"))
    with tell.step(
        "kubectl apply the API keys and modeldeployment/shapes in both namespaces → Ready", figure="models_ready_s"
    ):
        for tenant in TITLES:
            scene.keys[tenant] = "sk-" + secrets.token_urlsafe(24)
            cluster.apply(manifests.API_KEY.format(tenant=tenant, token=scene.keys[tenant]))
            cluster.apply(manifests.MODEL.format(tenant=tenant))
        for tenant in TITLES:
            cluster.wait_condition("modeldeployment", "shapes", "Ready", f"tenant-{tenant}")
        for tenant in TITLES:
            wait_until(f"{tenant}'s API key to be accepted", lambda t=tenant: _key_works(scene, t), limit_s=30)  # type: ignore[misc]
    tell.command("kubectl get modeldeployment -A", cluster.run("get", "modeldeployment", "-A"))


def _key_works(scene: Scene, tenant: str) -> bool:
    bearer = {"Authorization": f"Bearer {scene.keys[tenant]}"}
    return httpx.get(f"{scene.serve_url}/{tenant}/v1/models", headers=bearer, timeout=10).status_code == httpx.codes.OK


def images(scene: Scene) -> None:
    """People make images."""
    tell = scene.narrator
    tell.chapter(
        "People make images",
        "Ana and Bo through Acme's app, Cy through Globex's, with the official openai client, unchanged.",
    )
    for person in people.PEOPLE:
        with tell.step(f"{person.name} makes {len(person.prompts)} images"):
            api = scene.api(person.tenant)
            scene.images[person.name] = [
                people.make_image(api, person, prompt, seed) for seed, prompt in enumerate(person.prompts, 1)
            ]
        tell.say(f"outside the Gateway, {person.name} is {scene.subject(person)}")
    path = scene.output / "images.png"
    sheet.draw("What people made", [_row(scene, person, lambda made: made.png) for person in people.PEOPLE], path)
    tell.say(f"contact sheet: {path}")
    found = proofs.plaintext_at_rest(
        [scene.state / "data", scene.state / "copies", scene.state / "log"], _canaries(scene)
    )
    tell.check(
        not found,
        "no prompt, address or image byte rests in the clear",
        "searched database, WAL, objects, tree copies, logs",
    )


def _row(scene: Scene, person: Person, png: proofs.Picture) -> sheet.Row:
    made = scene.images[person.name]
    return sheet.Row(f"{person.name}\n({person.tenant})", [sheet.Tile(m.prompt, png(m)) for m in made])


def _canaries(scene: Scene) -> list[bytes]:
    words = [text.encode() for p in people.PEOPLE for text in (p.identifier, *p.prompts)]
    return words + [made.png[60:92] for many in scene.images.values() for made in many]


def backup(scene: Scene) -> None:
    """A backup is taken while everything still opens."""
    tell = scene.narrator
    tell.chapter(
        "A backup is taken", "Database, objects and key tree, exactly as a nightly job would copy them. Ana is in it."
    )
    with tell.step("back up Acme into another folder", figure="backup_s"):
        taken = proofs.take_backup(scene.state, scene.vault_url, "acme", scene.output / "backup")
    tell.say(f"{taken.files} files, {taken.bytes / 1024:.0f} KiB, in {scene.output / 'backup'}")
    with tell.step("read the backup"):
        opened = proofs.read_backup(scene.state, scene.vault_url, "acme", scene.output / "backup")
    tell.check(
        _opens(scene, opened, ANA) and _opens(scene, opened, BO),
        "before the erasure the backup opens: Ana's images and Bo's",
    )


def _opens(scene: Scene, opened: proofs.Opened, person: Person) -> bool:
    return all(opened.images.get(made.record) is not None for made in scene.images[person.name])


def erasure(scene: Scene) -> None:
    """Ana asks to be forgotten."""
    tell, cluster = scene.narrator, scene.cluster
    tell.chapter(
        "Ana asks to be forgotten",
        "The privacy officer applies one manifest. It holds a handle, a law and a date; no name.",
    )
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = manifests.ERASURE.format(name="erase-ana", tenant="acme", subject=scene.subject(ANA), received_at=now)
    tell.manifest(text)
    with tell.step("kubectl apply datasubjectrequest/erase-ana → Complete", figure="erase_complete_s"):
        cluster.apply(text)
        cluster.wait_condition("datasubjectrequest", "erase-ana", "Complete", "tenant-acme")
    for step in cluster.get("dsr", "erase-ana", "tenant-acme")["status"]["steps"]:
        tell.say(f"{step['state']:8s}{step['name']}")
    tell.command("kubectl get ten,md,dsr -A", cluster.run("get", "ten,md,dsr", "-A"))


def after(scene: Scene) -> None:
    """Try to read Ana in every way we know."""
    tell = scene.narrator
    tell.chapter(
        "Try to read Ana",
        "Through the API, from the backup with today's keys and with its own old ones, with a neighbour's token.",
    )
    tell.check(
        _status(scene, ANA.tenant, scene.images[ANA.name][0]) == httpx.codes.NOT_FOUND,
        "the API: Ana's image is not found",
    )
    tell.check(_status(scene, BO.tenant, scene.images[BO.name][0]) == httpx.codes.OK, "the API: Bo's image opens")
    restored = scene.output / "restored"
    with tell.step("restore the backup into another folder and read it with today's key tree"):
        shutil.copytree(scene.output / "backup", restored)
        opened = proofs.read_backup(scene.state, scene.vault_url, "acme", restored)
    lost = [made for made in scene.images[ANA.name] if opened.images.get(made.record) is None]
    tell.check(
        len(lost) == len(ANA.prompts),
        f"restored: {len(lost)} of {len(ANA.prompts)} of Ana's images do not open",
        opened.reason,
    )
    tell.check(_opens(scene, opened, BO), f"restored: all {len(BO.prompts)} of Bo's images open")
    path = scene.output / "restored.png"
    rows = [_row(scene, person, lambda made: opened.images.get(made.record)) for person in (ANA, BO)]
    sheet.draw("The restored backup, after the erasure", rows, path)
    tell.say(f"contact sheet: {path}")
    refusal = proofs.old_root_refused(scene.state, scene.vault_url, "acme", restored)
    tell.check(refusal.refused, "the backup's own key tree: Vault refuses its root", refusal.reason)
    other = proofs.neighbour_refused(scene.state, scene.vault_url, owner="acme", neighbour="globex")
    tell.check(other.refused, "Globex's token at Acme's key: Vault refuses", other.reason)
    made = people.make_image(scene.api(CY.tenant), CY, CY.prompts[0], 9)
    tell.check(made.subject == scene.subject(CY), "Globex noticed nothing: Cy just made another image")


def _status(scene: Scene, tenant: str, made: MadeImage) -> int:
    bearer = {"Authorization": f"Bearer {scene.keys[tenant]}"}
    return httpx.get(f"{scene.serve_url}/{tenant}/v1/images/{made.record}", headers=bearer, timeout=30).status_code


def certificate(scene: Scene) -> None:
    """The certificate, checked offline."""
    tell, cluster = scene.narrator, scene.cluster
    tell.chapter(
        "Anybody can check it",
        "The certificate is a signed statement. Checking it takes one file and one public key: no network, no trust.",
    )
    name = cluster.get("dsr", "erase-ana", "tenant-acme")["status"]["evidence"]["configMap"]
    path = scene.output / "certificate.json"
    path.write_text(cluster.get("configmap", name, "tenant-acme")["data"]["certificate.json"])
    key = scene.output / "evidence.pub"
    key.write_text(cluster.get("configmap", "imagint-evidence-key", "imagint-system")["data"]["evidence.pub"])
    status, report = proofs.imagint_verify(path, key)
    tell.command(f"imagint verify {path} --key {key}", report)
    tell.check(status == 0, "verified")
    forged = scene.output / "forged.json"
    forged.write_bytes(proofs.flip_a_bit(path.read_bytes()))
    status, report = proofs.imagint_verify(forged, key)
    tell.check(status == 1, "one flipped bit: refused", report.strip().splitlines()[-1] if report.strip() else "")


def bad_input(scene: Scene) -> None:
    """What happens to mistakes."""
    tell, cluster = scene.narrator, scene.cluster
    tell.chapter("Mistakes get plain answers", "From the apiserver itself, and in OpenAI's own error shape.")
    wrong = manifests.ERASURE.format(
        name="oops", tenant="acme", subject=ANA.identifier, received_at="2026-01-01T00:00:00Z"
    )
    try:
        cluster.apply(wrong)
    except DemoFailedError as refused:
        tell.check(
            "subject" in str(refused),
            "an e-mail address as the subject is refused by the apiserver",
            str(refused).splitlines()[-1],
        )
    else:
        tell.check(False, "an e-mail address as the subject is refused by the apiserver")
    try:
        people.client(f"{scene.serve_url}/acme/v1", "sk-wrong").models.list()
    except APIStatusError as refused:
        tell.check(refused.status_code == httpx.codes.UNAUTHORIZED, "a wrong API key gets 401", str(refused.code))
    else:
        tell.check(False, "a wrong API key gets 401")


CHAPTERS = (tenants, models, images, backup, erasure, after, certificate, bad_input)
