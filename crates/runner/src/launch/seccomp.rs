//! System calls that a sandbox doesn't get, whatever else holds it. A deny-list: a second wall behind
//! namespaces and Landlock, not the first.

use std::{collections::BTreeMap, env::consts::ARCH, io};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

use super::syscalls::{CLONE, CLONE3, IOCTL, REFUSED, REFUSED_HERE, SOCKET, UNSHARE};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

const CLONE_NEWUSER: u64 = 0x1000_0000;
/// Typing into a terminal from outside.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;

const AF_UNIX: u64 = 1;
/// The kernel's ciphers: code that is reached for little else than its faults.
const AF_ALG: u64 = 38;
/// The hypervisor's sockets, which no namespace keeps apart.
const AF_VSOCK: u64 = 40;

type Filtered<T> = Result<T, seccompiler::Error>;
type Refused<T> = Result<T, seccompiler::BackendError>;

/// Puts the filters on this process and all that come from it. `sockets` says whether sockets other
/// than unix ones are allowed.
pub(super) fn apply(sockets: bool) -> io::Result<()> {
    let install = || -> Filtered<()> {
        if cfg!(target_arch = "x86_64") {
            apply_filter(&no_x32())?;
        }
        apply_filter(&no_clone3()?)?;
        apply_filter(&refusals(sockets)?)
    };
    install().map_err(io::Error::other)
}

/// The list itself: what is on it answers EPERM.
fn refusals(sockets: bool) -> Refused<BpfProgram> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(REFUSED_HERE).map(|nr| (*nr, Vec::new())).collect();
    rules.insert(CLONE, vec![when(0, MaskedEq(CLONE_NEWUSER), CLONE_NEWUSER)?]);
    rules.insert(UNSHARE, vec![when(0, MaskedEq(CLONE_NEWUSER), CLONE_NEWUSER)?]);
    rules.insert(IOCTL, vec![when(1, Eq, TIOCSTI)?, when(1, Eq, TIOCLINUX)?]);
    rules.insert(
        SOCKET,
        if sockets {
            vec![when(0, Eq, AF_ALG)?, when(0, Eq, AF_VSOCK)?]
        } else {
            vec![when(0, Ne, AF_UNIX)?]
        },
    );
    compile(rules, EPERM)
}

/// `clone3` hides its flags in memory, where no filter sees them. ENOSYS sends libc to `clone`.
fn no_clone3() -> Refused<BpfProgram> {
    compile(BTreeMap::from([(CLONE3, Vec::new())]), ENOSYS)
}

/// Calls by the x32 numbering are the same calls under other numbers.
fn no_x32() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    vec![
        sock_filter { code: LOAD_NUMBER, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_SET, jt: 0, jf: 1, k: 0x4000_0000 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: 0x0005_0000 | ENOSYS },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: 0x7fff_0000 },
    ]
}

/// A rule on the low half of one argument: the kernel looks at no more of these.
fn when(argument: u8, is: SeccompCmpOp, value: u64) -> Refused<SeccompRule> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)?])
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> Refused<BpfProgram> {
    let arch = TargetArch::try_from(ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch)?.try_into()
}
