/**
 * System calls by purpose. A call is listed because programs of ordinary work need it, never because it seemed harmless: mounts,
 * namespaces, keys, tracing, modules, clocks, quotas, BPF, io_uring, handles and raw I/O stay out.
 */

const files =
  'access chdir chown close close_range copy_file_range dup dup2 dup3 eventfd eventfd2 faccessat faccessat2 fadvise64 fallocate fchdir ' +
  'fchown fchownat fdatasync fgetxattr file_getattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate ' +
  'futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr ' +
  'link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat pread64 preadv preadv2 ' +
  'pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir ' +
  'sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink ' +
  'unlinkat utime utimensat utimes vmsplice write writev cachestat';

const memory =
  'brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync ' +
  'munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect shmat shmctl shmdt shmget';

const processes =
  'alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake ' +
  'get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getrandom ' +
  'getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal ' +
  'prctl restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend ' +
  'rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam ' +
  'sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield ' +
  'set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid ' +
  'setresuid setreuid setsid setuid sigaltstack signalfd signalfd4 sysinfo tgkill time times tkill uname vfork wait4 waitid';

/** A process may confine itself further. */
const confinement = 'landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp';

const clocks =
  'clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer timer_create timer_delete timer_getoverrun ' +
  'timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime';

const sockets =
  'accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old ' +
  'getpeername getsockname getsockopt listen pipe pipe2 poll ppoll pselect6 recvfrom recvmmsg recvmsg select sendmmsg sendmsg sendto ' +
  'setsockopt shutdown';

const queues =
  'mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend ' +
  'mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop';

function names(...groups: readonly string[]): readonly string[] {
  return groups.flatMap((group) => group.split(' ')).toSorted();
}

/** Allowed whatever their arguments. Those judged by their arguments are in `seccomp.ts`. */
export const allowedCalls = names(files, memory, processes, confinement, clocks, sockets, queues);

/**
 * Calls answered "not implemented". `clone3` and `openat2` carry their flags in memory, where no filter can read them;
 * io_uring does files and sockets past every filter; contexts of the older asynchronous I/O come from one pool of the host
 * (`fs.aio-max-nr`), which a single sandbox could take whole. Each has another call that programs fall back to.
 */
export const fallbackCalls: readonly string[] = [
  'clone3',
  'io_cancel',
  'io_destroy',
  'io_getevents',
  'io_pgetevents',
  'io_setup',
  'io_submit',
  'io_uring_enter',
  'io_uring_register',
  'io_uring_setup',
  'openat2',
  'set_mempolicy_home_node',
  'process_mrelease',
];
