"""Error numbers that MicroPython's errno has not, as the port's C library has them.

Linux's on most ports, which take those that MicroPython brings along (py/mperrno.h); an ESP32 has
newlib's, told by its errno.EINPROGRESS. What has one number everywhere stands where it is used.
"""

from errno import EINPROGRESS

_newlib = EINPROGRESS == 119

EADDRNOTAVAIL = 125 if _newlib else 99
EAFNOSUPPORT = 106 if _newlib else 97
EDESTADDRREQ = 121 if _newlib else 89
EISCONN = 127 if _newlib else 106
EMSGSIZE = 122 if _newlib else 90
ENETUNREACH = 114 if _newlib else 101
ENOPROTOOPT = 109 if _newlib else 92
