"""Error numbers that MicroPython's errno has not, as the port's C library has them.

Linux's on most ports, which take those that MicroPython brings along (py/mperrno.h); an ESP32 has
newlib's, told by its errno.EINPROGRESS. What has one number everywhere stands where it is used.
"""

from errno import EINPROGRESS

if EINPROGRESS == 119:
    EADDRNOTAVAIL = 125
    EAFNOSUPPORT = 106
    EDESTADDRREQ = 121
    EISCONN = 127
    EMSGSIZE = 122
    ENETUNREACH = 114
    ENOPROTOOPT = 109
else:
    EADDRNOTAVAIL = 99
    EAFNOSUPPORT = 97
    EDESTADDRREQ = 89
    EISCONN = 106
    EMSGSIZE = 90
    ENETUNREACH = 101
    ENOPROTOOPT = 92
