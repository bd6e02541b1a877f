"""What a release is made of: archives with the same bytes every time, and the checks of what is inside.

Python, because its standard library reads and writes everything that is needed (zip, plist, hashes) and every machine
that builds a release has it: nothing is compiled or downloaded before a library can be checked.
"""


class Refused(Exception):
    """Something that must not be released. The text names the thing and the mend."""
