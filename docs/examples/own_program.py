"""A site's own program: its resources beside the images of the bakery, which they boot."""

from pathlib import Path

import pulumi

import bakery


class Site(pulumi.ComponentResource):
    """What has to be there before the first bake. That of a real site has its network and its buckets."""

    def __init__(self, name: str) -> None:
        super().__init__("site:index:Site", name)
        self.register_outputs({})


class LoginNodes(pulumi.ComponentResource):
    """The machines that users log in to. Those of a real site are made from an instance template."""

    def __init__(self, name: str, boot_image: pulumi.Input[str]) -> None:
        super().__init__("site:index:LoginNodes", name)
        self.boot_image = pulumi.Output.from_input(boot_image)
        self.register_outputs({"boot_image": self.boot_image})


site = Site("site")
images = bakery.declare(Path(__file__).parent, after=[site])
login = LoginNodes("login", boot_image=images.image("hpcc")["link"])
pulumi.export("families", images.families)
pulumi.export("boot_image", login.boot_image)
