// A program of 235 bytes for the guest: mixes the 64 bytes on its standard input into the kernel's random pool, credits them and reseeds at
// once. Guests resumed from one saved state would otherwise hand out the same random numbers for seconds (measured: equal
// /dev/urandom reads): writing to /dev/urandom does not reseed, Debian's kernel has no vmgenid, busybox no ioctl. Written as
// machine code because a set-up without a compiler must be able to build it.
const code = Buffer.from(
  [
    '4883ec50', //             sub rsp, 80                      struct rand_pool_info and its buffer
    '31ff', //                 xor edi, edi
    '488d742408', //           lea rsi, [rsp+8]
    'ba40000000', //           mov edx, 64
    '31c0', //                 xor eax, eax
    '0f05', //                 syscall                          read(0, buffer, 64)
    'c7042400020000', //       mov dword [rsp], 512             entropy_count, bits
    'c744240440000000', //     mov dword [rsp+4], 64            buf_size, bytes
    '488d3d3c000000', //       lea rdi, [rip+path]
    'be01000000', //           mov esi, 1
    'b802000000', //           mov eax, 2
    '0f05', //                 syscall                          open("/dev/urandom", O_WRONLY)
    '89c7', //                 mov edi, eax
    'be03520840', //           mov esi, 0x40085203
    '4889e2', //               mov rdx, rsp
    'b810000000', //           mov eax, 16
    '0f05', //                 syscall                          ioctl(fd, RNDADDENTROPY, &info)
    '89c3', //                 mov ebx, eax
    'be07520000', //           mov esi, 0x5207
    'b810000000', //           mov eax, 16
    '0f05', //                 syscall                          ioctl(fd, RNDRESEEDCRNG)
    '09d8', //                 or eax, ebx
    '31ff', //                 xor edi, edi
    '85c0', //                 test eax, eax
    '400f95c7', //             setne dil
    'b83c000000', //           mov eax, 60
    '0f05', //                 syscall                          exit(0 when both went well)
  ].join(''),
  'hex',
);
const path = Buffer.from('/dev/urandom\0');
const headersBytes = 64 + 56;
const loadAddress = 0x400000n;

/** A static ELF of one segment. */
export function reseedProgram() {
  const size = BigInt(headersBytes + code.length + path.length);
  const header = Buffer.alloc(headersBytes);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(2, 16); // executable
  header.writeUInt16LE(62, 18); // x86-64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(loadAddress + BigInt(headersBytes), 24); // entry
  header.writeBigUInt64LE(64n, 32); // program headers
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // read, execute
  header.writeBigUInt64LE(loadAddress, 80);
  header.writeBigUInt64LE(loadAddress, 88);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, code, path]);
}
