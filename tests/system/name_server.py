"""Answers every name with one IPv4 address; runs in the guest: ADDRESS OF_EVERY_NAME."""

import socket
import sys

TYPE_A = b"\0\1"

own, answer = sys.argv[1], socket.inet_aton(sys.argv[2])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((own, 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(b"\0", 12) + 1
    found = query[end : end + 2] == TYPE_A
    header = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4)
    # The name of the question, of type A and class IN, for a minute.
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + answer if found else b""
    server.sendto(header + query[12 : end + 4] + record, client)
