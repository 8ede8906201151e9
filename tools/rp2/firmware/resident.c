// In firmware with smolmp frozen in: where smolmp's objects that change live, when all others are
// in flash (ports/rp2/resident.py). Places with fixed addresses, through which the garbage
// collector looks as it does through its other roots; and what tells this firmware from all others.
#include "py/gc.h"

#define PLACES (144)  // each as long as a block of the heap: a function, the head of a dict or a list

void __real_gc_collect_start(void);

static void *smolmp_places[PLACES][MICROPY_BYTES_PER_GC_BLOCK / sizeof(void *)];

// ports/rp2/resident.py, tools/rp2/resident.py and pico.py know this.
const struct {
    char magic[8];
    uint32_t identity[2];  // build_firmware.sh writes it when all else is there
    void *places;
    uint32_t n;
} smolmp_resident = { "SMO1RES1", { 0xffffffff, 0xffffffff }, smolmp_places, PLACES };

void __wrap_gc_collect_start(void) {
    __real_gc_collect_start();
    gc_collect_root(smolmp_places[0], sizeof(smolmp_places) / sizeof(void *));
}
