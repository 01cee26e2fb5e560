"""Makes an OCI image archive of one layer: OUT LAYER."""
import hashlib
import json
import os
import sys

out, layer = sys.argv[1:]
os.makedirs(out + "/blobs/sha256")


def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    with open(out + "/blobs/sha256/" + digest, "wb") as file:
        file.write(data)
    return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data)}


def document(value, kind):
    return blob(json.dumps(value).encode(), kind)


base = "application/vnd.oci.image."
with open(layer, "rb") as file:
    top = blob(file.read(), base + "layer.v1.tar")
config = document({
    "architecture": "amd64", "os": "linux",
    "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
    "rootfs": {"type": "layers", "diff_ids": [top["digest"]]},
}, base + "config.v1+json")
kind = base + "manifest.v1+json"
manifest = document({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [top]}, kind)
manifest["annotations"] = {"io.containerd.image.name": "docker.io/library/box:1"}
with open(out + "/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
with open(out + "/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
