"""Metadata as cameras and editors write it, made by code."""

import struct

from styleshuffle.images.tiff_tags import EXIF_IFD, GPS_IFD, MAKER_NOTE

MAKE, ORIENTATION = 0x010F, 0x0112
NOTE_AT = 700  # where the maker note of these tests lies
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    b' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'tiff:Orientation="6" dc:creator="Ann" '
    b'exif:GPSLatitude="48,12.5N" exif:GPSLongitude="16,22E"><xmp:Thumbnails><rdf:li>AAAA</rdf:li></xmp:Thumbnails>'
    b"<exif:GPSAltitude>170</exif:GPSAltitude><exif:GPSAreaInformation/></rdf:Description></rdf:RDF></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x50\x00\x03Ann" + b"\x1c\x02\x5a\x00\x06Vienna"


def camera_exif(order="<"):
    """EXIF data as a camera writes it: with a maker note that holds its own place, a place on earth and a thumbnail."""
    e = order
    head = (b"II*\0" if e == "<" else b"MM\0*") + struct.pack(e + "L", 8)
    data, entries = bytearray(1024), []

    def put(at, content):
        data[at : at + len(content)] = content
        return at

    def table(rows, following=0):
        body = struct.pack(e + "H", len(rows))
        for tag, kind, count, value in sorted(rows, key=lambda row: row[0]):
            body += struct.pack(e + "HHL", tag, kind, count)
            body += (
                value
                if isinstance(value, bytes)
                else struct.pack(e + ("HH" if kind == 3 else "L"), value, *[0] * (kind == 3))
            )
        return body + struct.pack(e + "L", following)

    put(300, b"Camera maker\0")
    put(320, struct.pack(e + "LL", 300, 1))
    put(340, b"2024:05:06 07:08:09\0")
    put(360, struct.pack(e + "LLLLLL", 48, 1, 12, 1, 30, 1))
    put(NOTE_AT, b"NOTE" + struct.pack(e + "L", NOTE_AT) + b"secret of the camera")
    put(
        400,
        table(
            [
                (0x9003, 2, 20, 340),
                (0xA001, 3, 1, 1),
                (0xA002, 4, 1, 30),
                (0xA003, 4, 1, 24),
                (MAKER_NOTE, 7, 28, NOTE_AT),
            ]
        ),
    )
    put(500, table([(1, 2, 2, b"N\0\0\0"), (2, 5, 3, 360)]))
    put(900, b"\xff\xd8thumbnail\xff\xd9")
    put(600, table([(0x0103, 3, 1, 6), (0x0201, 4, 1, 900), (0x0202, 4, 1, 13)]))
    entries = [(MAKE, 2, 13, 300), (ORIENTATION, 3, 1, 6), (282, 5, 1, 320), (283, 5, 1, 320), (296, 3, 1, 2)]
    put(8, table([*entries, (EXIF_IFD, 4, 1, 400), (GPS_IFD, 4, 1, 500)], following=600))
    put(0, head)
    return bytes(data)
