/* reflect FD SPIN: no stack at all. UDP datagrams and echo requests that come from an open TAP go
 * back to whom they came from, their addresses swapped: what a round trip costs when nobody
 * computes anything. SPIN 1: looks for frames without ever going to sleep. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned char b[4096];

static void swap(int x, int y, int n)
{
    unsigned char t[6];
    memcpy(t, b + x, n);
    memcpy(b + x, b + y, n);
    memcpy(b + y, t, n);
}

static int answer(void)
{
    static const unsigned char mac[6] = { 2, 0, 0, 0, 0, 1 };
    if (b[12] == 8 && b[13] == 6) {                 /* ARP: whatever is asked for is here */
        if (b[21] != 1 || memcmp(b + 28, b + 38, 4) == 0)
            return 0;
        swap(0, 6, 6);
        memcpy(b + 6, mac, 6);
        b[21] = 2;
        swap(22, 32, 10);
        memcpy(b + 22, mac, 6);
        return 1;
    }
    if (b[12] != 8 || b[13] != 0 || b[14] != 0x45 || b[30] >= 224)
        return 0;
    swap(0, 6, 6);
    swap(26, 30, 4);
    if (b[23] == 17) {                              /* swapping changes no sum */
        swap(34, 36, 2);
        return 1;
    }
    if (b[23] == 1 && b[34] == 8) {
        unsigned sum = (b[36] << 8 | b[37]) + 0x800;
        sum = (sum & 0xffff) + (sum >> 16);
        b[34] = 0;
        b[36] = sum >> 8;
        b[37] = sum;
        return 1;
    }
    return 0;
}

int main(int ac, char **av)
{
    if (ac < 3)
        return 2;
    int fd = atoi(av[1]), spin = atoi(av[2]);
    struct pollfd p = { fd, POLLIN, 0 };
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    for (;;) {
        int n = read(fd, b, sizeof b);
        if (n < 42) {
            if (n <= 0 && !spin)
                poll(&p, 1, 1000);
        } else if (answer() && write(fd, b, n) != n) {
            return 1;
        }
    }
}
