"""One quota in megabytes becomes quotas in bytes by kind of upload."""

import json
import os
import shutil
from pathlib import Path

MIGRATION_INFO = {
    "version_from": "0.1.0",
    "version_to": "0.2.0",
    "description": "Count quotas in bytes, by kind",
    "requires_restart": ["web"],
    "breaking_changes": False,
    "estimated_duration_seconds": 1,
    "idempotent": True,
}

MEGABYTE = 1024 * 1024


def migrate_forward(project_root: Path) -> bool:
    settings = read(project_root)
    if "quota_mb" not in settings:
        print("storage.json has quotas by kind already")
        return True
    quota = settings.pop("quota_mb") * MEGABYTE
    kinds = settings.pop("kinds")
    settings["quota_bytes"] = {kind: quota // len(kinds) for kind in kinds}
    write(project_root, settings)
    print(f"{quota} bytes shared by {', '.join(kinds)}")
    return True


def migrate_backward(project_root: Path) -> bool:
    settings = read(project_root)
    if "quota_bytes" not in settings:
        return True
    quotas = settings.pop("quota_bytes")
    write(project_root, {"quota_mb": sum(quotas.values()) // MEGABYTE, **settings, "kinds": list(quotas)})
    return True


def read(project_root: Path) -> dict:
    return json.loads((project_root / "config" / "storage.json").read_text())


def write(project_root: Path, settings: dict) -> None:
    # Written beside, then put in its place: whoever reads meanwhile sees the old file or the new one, never half of it.
    path = project_root / "config" / "storage.json"
    beside = path.with_suffix(".json.new")
    with beside.open("w") as file:
        file.write(json.dumps(settings, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    shutil.copymode(path, beside)
    os.replace(beside, path)
