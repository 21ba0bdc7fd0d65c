/** The processor architectures that images are made for, as Node names them. */
export type Platform = 'x64' | 'arm64';
