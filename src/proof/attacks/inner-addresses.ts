/** Addresses that no public name may lead to: loopback, private, link-local, metadata, reserved, and those that embed one. */
export const innerAddresses: Readonly<Record<'A' | 'AAAA', readonly string[]>> = {
  A: [
    '127.0.0.1',
    '127.64.0.9',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '100.100.100.200',
    '192.0.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ],
  AAAA: [
    '::1',
    '::',
    'fd00::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:169.254.169.254',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001::1',
  ],
};

/** Not an address at all to who is careful, and one to who is not. Only a resolver that is not DNS says such. */
export const shortAddresses: readonly string[] = ['0x7f.1', '127.1', '2130706433', '0177.0.0.1', 'fe80::1%lo', 'localhost', ''];
