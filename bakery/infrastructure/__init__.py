"""Component resources of pulumi-gcp: everything that the bakery needs on Google Cloud.

Each component can be declared alone with :class:`bakery.settings.GoogleSettings`, of which it needs ``project`` and
``region``; :func:`bakery.infrastructure.bakery.declare` declares all. Names and addresses are Outputs of the component.
"""
