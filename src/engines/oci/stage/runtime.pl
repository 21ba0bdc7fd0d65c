# The container runtime: this process becomes it, or starts it and hands in the mounts of one sandbox, over anchors: places in
# the image whose mounts the container's mount namespace follows, as long as this process keeps its own.
use strict;
use warnings;

my ($runtime, @command, $held_names, $is_kept);

# The container's first process inherits these three: nothing of the host's terminals or pipes may stay open in it.
sub become_runtime {
  my @program = @_;
  open(STDIN, '<', '/dev/null') or stop('/dev/null');
  open(STDOUT, '>', '/dev/null') or stop('/dev/null');
  open(STDERR, '>', '/dev/null') or stop('/dev/null');
  { no warnings; exec { $program[0] } @program }
  exit 98;
}

sub runtime_operations {
  return (
    # become PROGRAM ARGUMENT...: the last line, without which nothing is started
    become => sub { @command = @_ },
    # run PROGRAM ARGUMENT...: the runtime works while the rest of the plan is read
    run => sub {
      my @program = @_;
      my $self = $$;
      $runtime = fork();
      defined $runtime or stop('fork');
      return if $runtime != 0;
      call('prctl', 1, 9, 0, 0, 0) == 0 && getppid() == $self or stop('caller', 'has ended');
      become_runtime(@program);
    },
    # made: the container is there; a runtime that failed ends this with its own exit code
    made => sub {
      waitpid $runtime, 0;
      exit($? & 127 ? 128 + ($? & 127) : $? >> 8) if $?;
    },
    # mapping UID_MAP GID_MAP: made now, for trees to come: to start a process for it takes longer than to mount them
    mapping => sub { mapping(@_) },
    # hold PIDFILE: its first line has the first process, bare or as JSON. Says "held" and waits for the sandbox that will take
    # the container; if none does, the first process ends with this one.
    hold => sub {
      my ($file) = @_;
      open(my $handle, '<', $file) or stop($file);
      my ($pid) = (<$handle> // '') =~ /^(?:\{"pid":)?(\d+)/ or stop($file);
      my $descriptor = call('pidfd_open', $pid + 0, 0);
      $descriptor >= 0 or stop('first process');
      hold_process($descriptor);
      sysopen($held_names, "/proc/$pid/ns/uts", 0) or stop('first process');
      # From here on the end of our input tells that the caller is gone, and there is something to do then.
      end_with_caller(0);
      syswrite STDOUT, "held\n";
    },
    # hostname NAME: of a container that was held
    hostname => sub {
      my ($name) = @_;
      call('setns', fileno($held_names), 0) == 0 or stop('hostname');
      call('sethostname', $name, length $name) == 0 or stop('hostname');
    },
    # keep: the last line, without which what was made goes again
    keep => sub {
      hold_process(undef);
      $is_kept = 1;
    },
  );
}

# After the last line of the plan.
sub finish {
  if (defined $runtime && !$is_kept) {
    end_held();
    exit 0 if defined held();
    stop('plan', 'is cut');
  }
  # Nothing can fail from here on; to leave the mount namespace takes the kernel longer than all that was mounted in it.
  syswrite STDOUT, "kept\n" if $is_kept;
  exit 0 unless @command;
  become_runtime(@command);
}

1;
