"""One image, baked and tested, and promoted by nobody; the settings are the program's own."""

from pathlib import Path

import pulumi

import bakery

images = bakery.resources_of(Path(__file__).parent, {"oven": "local", "state": "state"})
image = images.image("rcc-debian")
baked = images.bake(image)
tested = images.test(image, baked)
pulumi.export("image", baked.name)
pulumi.export("run", tested.run if tested else None)
