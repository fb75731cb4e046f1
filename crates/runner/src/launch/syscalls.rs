//! Numbers of the system calls that no sandbox gets. They are the kernel's and never change.

/// Refused whatever the arguments.
pub(super) const REFUSED: &[i64] = &[
    // mounts
    nr::MOUNT,
    nr::UMOUNT2,
    nr::PIVOT_ROOT,
    nr::CHROOT,
    OPEN_TREE,
    MOVE_MOUNT,
    FSOPEN,
    FSCONFIG,
    FSMOUNT,
    FSPICK,
    MOUNT_SETATTR,
    OPEN_TREE_ATTR,
    nr::SETNS,
    // the kernel's insides
    nr::BPF,
    nr::PERF_EVENT_OPEN,
    nr::KEXEC_LOAD,
    nr::KEXEC_FILE_LOAD,
    nr::INIT_MODULE,
    nr::FINIT_MODULE,
    nr::DELETE_MODULE,
    nr::USERFAULTFD,
    nr::SYSLOG,
    // keys are not kept apart by namespaces
    nr::KEYCTL,
    nr::ADD_KEY,
    nr::REQUEST_KEY,
    // a way around paths
    nr::OPEN_BY_HANDLE_AT,
    nr::LOOKUP_DCOOKIE,
    // the machine
    nr::SWAPON,
    nr::SWAPOFF,
    nr::REBOOT,
    nr::SETTIMEOFDAY,
    nr::CLOCK_SETTIME,
    nr::ACCT,
    nr::QUOTACTL,
    QUOTACTL_FD,
    nr::NFSSERVCTL,
    nr::VHANGUP,
    // does what the filter would refuse, past the filter
    IO_URING_SETUP,
    IO_URING_ENTER,
    IO_URING_REGISTER,
];

/// Refused on this architecture alone.
pub(super) const REFUSED_HERE: &[i64] = nr::ONLY_HERE;

pub(super) use nr::{CLONE, IOCTL, SOCKET, UNSHARE};
pub(super) const CLONE3: i64 = 435;

const IO_URING_SETUP: i64 = 425;
const IO_URING_ENTER: i64 = 426;
const IO_URING_REGISTER: i64 = 427;
const OPEN_TREE: i64 = 428;
const MOVE_MOUNT: i64 = 429;
const FSOPEN: i64 = 430;
const FSCONFIG: i64 = 431;
const FSMOUNT: i64 = 432;
const FSPICK: i64 = 433;
const MOUNT_SETATTR: i64 = 442;
const QUOTACTL_FD: i64 = 443;
const OPEN_TREE_ATTR: i64 = 467;

#[cfg(target_arch = "x86_64")]
mod nr {
    pub(in super::super) const IOCTL: i64 = 16;
    pub(in super::super) const SOCKET: i64 = 41;
    pub(in super::super) const CLONE: i64 = 56;
    pub(in super::super) const UNSHARE: i64 = 272;
    pub(super) const SYSLOG: i64 = 103;
    pub(super) const VHANGUP: i64 = 153;
    pub(super) const PIVOT_ROOT: i64 = 155;
    pub(super) const CHROOT: i64 = 161;
    pub(super) const ACCT: i64 = 163;
    pub(super) const SETTIMEOFDAY: i64 = 164;
    pub(super) const MOUNT: i64 = 165;
    pub(super) const UMOUNT2: i64 = 166;
    pub(super) const SWAPON: i64 = 167;
    pub(super) const SWAPOFF: i64 = 168;
    pub(super) const REBOOT: i64 = 169;
    pub(super) const INIT_MODULE: i64 = 175;
    pub(super) const DELETE_MODULE: i64 = 176;
    pub(super) const QUOTACTL: i64 = 179;
    pub(super) const NFSSERVCTL: i64 = 180;
    pub(super) const LOOKUP_DCOOKIE: i64 = 212;
    pub(super) const CLOCK_SETTIME: i64 = 227;
    pub(super) const KEXEC_LOAD: i64 = 246;
    pub(super) const ADD_KEY: i64 = 248;
    pub(super) const REQUEST_KEY: i64 = 249;
    pub(super) const KEYCTL: i64 = 250;
    pub(super) const PERF_EVENT_OPEN: i64 = 298;
    pub(super) const OPEN_BY_HANDLE_AT: i64 = 304;
    pub(super) const SETNS: i64 = 308;
    pub(super) const FINIT_MODULE: i64 = 313;
    pub(super) const KEXEC_FILE_LOAD: i64 = 320;
    pub(super) const BPF: i64 = 321;
    pub(super) const USERFAULTFD: i64 = 323;
    /// `uselib`, `sysfs`, `_sysctl`, `iopl`, `ioperm`.
    pub(super) const ONLY_HERE: &[i64] = &[134, 139, 156, 172, 173];
}

#[cfg(not(target_arch = "x86_64"))]
mod nr {
    pub(in super::super) const IOCTL: i64 = 29;
    pub(in super::super) const SOCKET: i64 = 198;
    pub(in super::super) const CLONE: i64 = 220;
    pub(in super::super) const UNSHARE: i64 = 97;
    pub(super) const LOOKUP_DCOOKIE: i64 = 18;
    pub(super) const UMOUNT2: i64 = 39;
    pub(super) const MOUNT: i64 = 40;
    pub(super) const PIVOT_ROOT: i64 = 41;
    pub(super) const NFSSERVCTL: i64 = 42;
    pub(super) const CHROOT: i64 = 51;
    pub(super) const VHANGUP: i64 = 58;
    pub(super) const QUOTACTL: i64 = 60;
    pub(super) const ACCT: i64 = 89;
    pub(super) const KEXEC_LOAD: i64 = 104;
    pub(super) const INIT_MODULE: i64 = 105;
    pub(super) const DELETE_MODULE: i64 = 106;
    pub(super) const CLOCK_SETTIME: i64 = 112;
    pub(super) const SYSLOG: i64 = 116;
    pub(super) const REBOOT: i64 = 142;
    pub(super) const SETTIMEOFDAY: i64 = 170;
    pub(super) const ADD_KEY: i64 = 217;
    pub(super) const REQUEST_KEY: i64 = 218;
    pub(super) const KEYCTL: i64 = 219;
    pub(super) const SWAPON: i64 = 224;
    pub(super) const SWAPOFF: i64 = 225;
    pub(super) const PERF_EVENT_OPEN: i64 = 241;
    pub(super) const OPEN_BY_HANDLE_AT: i64 = 265;
    pub(super) const SETNS: i64 = 268;
    pub(super) const FINIT_MODULE: i64 = 273;
    pub(super) const BPF: i64 = 280;
    pub(super) const USERFAULTFD: i64 = 282;
    pub(super) const KEXEC_FILE_LOAD: i64 = 294;
    pub(super) const ONLY_HERE: &[i64] = &[];
}
