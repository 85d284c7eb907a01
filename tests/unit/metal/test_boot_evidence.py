"""What the head's logs tell of a server: its own lines, and those of strangers."""

from __future__ import annotations

import time

import rackwright_boot_evidence as evidence

MAC, OTHER = "b0:7b:25:40:0c:01", "b8:3f:d2:40:0c:01"
# As dnsmasq 2.90 writes them to the journal.
LINES = [
    f"Nov 23 22:40:00 r660-1 dnsmasq-dhcp[812]: DHCPDISCOVER(eno1) {OTHER} no address available",
    f"Nov 23 22:40:01 r660-1 dnsmasq-dhcp[812]: DHCPDISCOVER(eno1) {MAC}",
    f"Nov 23 22:40:01 r660-1 dnsmasq-dhcp[812]: DHCPOFFER(eno1) 10.40.3.201 {MAC}",
    f"Nov 23 22:40:01 r660-1 dnsmasq-dhcp[812]: DHCPACK(eno1) 10.40.3.201 {MAC} r660-2",
    "Nov 23 22:40:02 r660-1 dnsmasq-tftp[812]: sent /usr/lib/ipxe/snponly.efi to 10.40.3.201",
    "Nov 23 22:40:02 r660-1 dnsmasq-tftp[812]: sent /usr/lib/ipxe/snponly.efi to 10.40.3.20",
    "Nov 23 22:40:02 r660-1 dnsmasq-tftp[812]: file /usr/lib/ipxe/no.efi not found for 10.40.3.201",
]


def test_lines_are_sorted_by_whose_they_are() -> None:
    dhcp, tftp, strangers, mine = evidence.sort_journal(LINES, [MAC.upper()], ["10.40.3.12"])
    assert dhcp == LINES[1:4]
    assert tftp == [LINES[4], LINES[6]]
    assert strangers == {OTHER: LINES[0]}
    assert mine == {"10.40.3.12", "10.40.3.201"}


def test_a_stranger_is_known_among_a_rack_that_boots() -> None:
    rack = [LINES[1].replace(MAC, f"b0:7b:25:50:{n // 200:02x}:{n % 200:02x}") for n in range(1900)]
    found = evidence.latest(evidence.sort_journal([LINES[0], *rack], [MAC], [])[2])
    assert found[OTHER] == LINES[0]
    crowd = [*rack, *(line.replace("25:50", "25:60") for line in rack), LINES[0], *rack]
    found = evidence.latest(evidence.sort_journal([LINES[0], *crowd], [MAC], [])[2])
    assert len(found) == evidence.MOST_STRANGERS and OTHER in found


def test_old_lines_of_the_web_server_are_left_out() -> None:
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    assert evidence.recent(f'10.40.3.201 - - [{stamp}] "GET /boot.ipxe HTTP/1.1" 200 12', time.time() - 60)
    assert not evidence.recent(
        '10.40.3.201 - - [23/Nov/2020:10:00:00 +0000] "GET / HTTP/1.1" 200 1', time.time() - 60
    )
    assert not evidence.recent("no time in it", 0)
