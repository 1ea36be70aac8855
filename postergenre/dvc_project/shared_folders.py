"""Folders that a group shares: a cache or a remote in which everyone may write what the others need."""

import grp
import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

from postergenre.errors import InputError

GROUP_BITS = stat.S_ISGID | stat.S_IRWXG  # the group may write, and what is made in the folder belongs to the group
# The folders of a cache or a remote, named by the hashes of objects and runs.
TWO = "[0-9a-f]" * 2
DVC_FOLDERS = ("files", "files/md5", f"files/md5/{TWO}", "runs", f"runs/{TWO}", f"runs/{TWO}/*")
# As <linux/posix_acl.h> has them: the tags of entries, and the id of an entry that names no user.
OWNER, OWNING_GROUP, OTHERS, NOBODY = 0x01, 0x04, 0x20, 0xFFFFFFFF
DEFAULT_ACL = "system.posix_acl_default"


def open_to_group(folders: list[Path]) -> bool:
    """Let the group write in folders and in DVC's own folders in them; other people's folders stay as they are.

    Returns:
        Whether the group may also write in what is made there later, whatever the umask of its maker.

    Raises:
        InputError: one of DVC's folders belongs to somebody who left it closed; then none was changed.
    """
    places = {place: folder for folder in folders for place in _dvc_folders(folder)}
    before: dict[Path, os.stat_result] = {}
    try:
        for place, folder in places.items():
            group, status = folder.stat().st_gid, place.stat()
            if status.st_gid == group and status.st_mode & GROUP_BITS == GROUP_BITS:
                continue
            before[place] = status
            if status.st_gid != group:
                os.chown(place, -1, group)
            place.chmod(stat.S_IMODE(status.st_mode) | GROUP_BITS)
    except OSError as error:
        for changed, status in before.items():
            with suppress(OSError):  # the one that could not be changed
                os.chown(changed, -1, status.st_gid)
                changed.chmod(stat.S_IMODE(status.st_mode))
        top = folder.joinpath(*place.relative_to(folder).parts[:1])
        find = f"find {top} -maxdepth {0 if top == folder else 2} -type d -exec"
        raise InputError(
            f"{place} cannot be opened to the group ({error.strerror}); its owner can: "
            f"`{find} chgrp GROUP {{}} +` and `{find} chmod g+rwxs {{}} +`"
        ) from None
    return min([_inherit(place) for place in places], default=True)


def group_of(folder: Path) -> str:
    """The name of a folder's group; its number where it has no name."""
    number = folder.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _dvc_folders(folder: Path) -> list[Path]:
    """A folder that is a cache or a remote, and the folders that DVC makes in it."""
    return [folder, *(place for pattern in DVC_FOLDERS for place in sorted(folder.glob(pattern)) if place.is_dir())]


def _inherit(place: Path) -> bool:
    """Give a folder a default ACL, so that the group may write in what is made there, whatever its maker's umask.

    DVC itself opens most folders to the group, but not those of a run cache that was pulled or pushed. The bytes are
    what `setfacl` writes; many machines do not have that program.
    """
    entries = ((OWNER, 7), (OWNING_GROUP, 7), (OTHERS, place.stat().st_mode & 7))  # 7: read, write and enter
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, mode, NOBODY) for tag, mode in entries)
    try:
        if DEFAULT_ACL not in os.listxattr(place):  # one that a person has set stays
            os.setxattr(place, DEFAULT_ACL, acl)
    except (AttributeError, OSError):  # no Linux; no ACLs on this file system; or a teammate's folder, which has one
        return False
    return True
