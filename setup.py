"""Everything is in setup.cfg (pbr)."""

import setuptools

setuptools.setup(pbr=True)
