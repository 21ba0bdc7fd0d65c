main(@ARGV);
