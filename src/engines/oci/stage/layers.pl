# Probes of the layers of protection: each really does what it asks about, in this short-lived process.
use strict;
use warnings;

sub layer_operations {
  return (
    filter => sub {
      my $allow = pack('SCCL', 0x06, 0, 0, 0x7fff0000);
      my $program = pack('Sx6J', 1, unpack('J', pack('P', $allow)));
      call('prctl', 38, 1, 0, 0, 0) == 0 or stop('no new privileges');
      call('prctl', 22, 2, $program, 0, 0) == 0 or stop('seccomp filter');
    },
    map => sub { mapping("0 1879048192 65536\n", "0 1879048192 65536\n") },
    processes => sub {
      my ($none, $limit) = (0, pack('JJ', 1, 1));
      call('prlimit64', 0, 6, $limit, $none) == 0 or stop('process limit');
      my $child = fork();
      exit 0 if defined $child && $child == 0;
      stop('process limit', 'a second process was not refused') if defined $child;
    },
  );
}

1;
