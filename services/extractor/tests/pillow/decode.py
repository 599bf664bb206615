"""Images of every kind, written and read by Pillow: `decode.py FOLDER` leaves cases.json, the files and their RGB pixels."""

import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

PHOTO = Path(__file__).parents[4] / "tests/data/reference/images/astronaut.png"
ORIENTATION = 0x0112


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def png(width, height, depth, color, rows):
    """A PNG of any depth and colour type, which Pillow does not write."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bmp_of_16_bits(array):
    """Five bits a channel."""
    height, width, _ = array.shape
    red, green, blue = (array[::-1, :, channel].astype(np.uint16) >> 3 for channel in range(3))
    rows = (red << 10 | green << 5 | blue).astype("<u2")
    rows = np.pad(rows, ((0, 0), (0, width % 2)))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 0, rows.nbytes, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + rows.nbytes, 0, 0, 54) + head + rows.tobytes()


def jpegs(photo, grey):
    for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
        for quality in (60, 92):
            yield f"jpeg-{name}-{quality}", saved(photo, "JPEG", quality=quality, subsampling=sampling)
    yield "jpeg-progressive", saved(photo, "JPEG", progressive=True)
    yield "jpeg-restart", saved(photo, "JPEG", restart_marker_blocks=3)
    yield "jpeg-rgb", saved(photo, "JPEG", keep_rgb=True)
    yield "jpeg-grey", saved(grey, "JPEG")
    yield "jpeg-grey-progressive", saved(grey, "JPEG", progressive=True)
    cmyk = saved(photo.convert("CMYK"), "JPEG", quality=90)
    yield "jpeg-cmyk", cmyk
    adobe = cmyk.index(b"Adobe")
    # The last byte of the segment says how the inks are coded: 2 is YCCK.
    yield "jpeg-ycck", cmyk[:adobe + 11] + b"\2" + cmyk[adobe + 12:]
    for orientation in range(1, 9):
        yield f"jpeg-turned-{orientation}", saved(photo, "JPEG", quality=90, exif=turned(orientation))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    yield "jpeg-turned-by-xmp", saved(photo, "JPEG", quality=90, xmp=xmp)


def pngs(photo, grey, clear):
    palette = photo.quantize(200)
    for name, image in [
        ("rgb", photo), ("rgba", clear), ("grey", grey), ("grey-alpha", clear.convert("LA")), ("1bit", grey.convert("1")),
        ("palette", palette),
    ]:
        yield f"png-{name}", saved(image, "PNG")
    yield "png-palette-clear", saved(palette, "PNG", transparency=7)
    yield "png-grey-clear", saved(grey, "PNG", transparency=100)
    for colours, bits in [(2, 1), (4, 2), (16, 4)]:
        yield f"png-palette-{bits}", saved(photo.quantize(colours), "PNG", bits=bits)
    yield "png-turned", saved(photo, "PNG", exif=turned(6))
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="8"/>')
    yield "png-turned-by-xmp", saved(photo, "PNG", pnginfo=text)
    levels = np.random.default_rng(3).integers(0, 65536, (13, 17, 4)).astype(">u2")
    levels[0, :, 0] = np.arange(17) * 20
    for name, color, channels in [("grey", 0, 1), ("rgb", 2, 3), ("grey-alpha", 4, 2), ("rgba", 6, 4)]:
        yield f"png-16-{name}", png(17, 13, 16, color, [row[:, :channels].tobytes() for row in levels])
    for depth in (2, 4):
        packed = np.random.default_rng(depth).integers(0, 256, (9, 5), dtype=np.uint8)
        yield f"png-grey-{depth}", png(40 // depth, 9, depth, 0, [row.tobytes() for row in packed])


def webps(photo, clear):
    yield "webp-lossy", saved(photo, "WEBP", quality=80)
    yield "webp-lossy-clear", saved(clear, "WEBP", quality=80)
    yield "webp-lossless", saved(photo, "WEBP", lossless=True)
    yield "webp-lossless-clear", saved(clear, "WEBP", lossless=True, exact=True)
    yield "webp-turned", saved(photo, "WEBP", lossless=True, exif=turned(5))
    yield "webp-film", saved(photo, "WEBP", lossless=True, save_all=True, append_images=[ImageOps.invert(photo)])


def gifs(photo, grey):
    palette = photo.quantize(120)
    still = saved(palette, "GIF")
    yield "gif-palette", still
    yield "gif-grey", saved(grey, "GIF")
    yield "gif-interlaced", saved(palette, "GIF", interlace=1)
    clear = saved(palette, "GIF", transparency=5)
    yield "gif-clear", clear
    yield "gif-film", saved(photo, "GIF", save_all=True, append_images=[ImageOps.invert(photo)])
    for name, file in [("gif-small-frame", still), ("gif-small-clear-frame", clear)]:
        width, height = struct.unpack("<HH", file[6:10])
        # A canvas that is larger than the frame on it.
        yield name, file[:6] + struct.pack("<HH", width + 9, height + 4) + file[10:]


def bmps(photo, grey, clear):
    for name, image in [
        ("rgb", photo), ("rgba", clear), ("grey", grey), ("1bit", grey.convert("1")), ("palette", photo.quantize(99)),
    ]:
        yield f"bmp-{name}", saved(image, "BMP")
    yield "bmp-16", bmp_of_16_bits(np.asarray(photo))


def tiffs(photo, grey, clear):
    palette = photo.quantize(99)
    sixteen = Image.fromarray(np.random.default_rng(4).integers(0, 600, (21, 34), dtype=np.uint16))
    for name, image in [
        ("rgb", photo), ("rgba", clear), ("grey", grey), ("grey-alpha", clear.convert("LA")), ("1bit", grey.convert("1")),
        ("palette", palette), ("cmyk", photo.convert("CMYK")), ("16-grey", sixteen),
    ]:
        yield f"tiff-{name}", saved(image, "TIFF")
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]:
        yield f"tiff-{compression}", saved(photo, "TIFF", compression=compression)
    yield "tiff-palette-lzw", saved(palette, "TIFF", compression="tiff_lzw")
    yield "tiff-group4", saved(grey.convert("1"), "TIFF", compression="group4")
    yield "tiff-turned", saved(photo, "TIFF", exif=turned(7))


def main(folder):
    # Odd sides, so that blocks and bytes are cut.
    photo = Image.open(PHOTO).convert("RGB").crop((150, 60, 150 + 133, 60 + 91))
    grey = photo.convert("L")
    clear = photo.copy()
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    files = [*jpegs(photo, grey), *pngs(photo, grey, clear), *webps(photo, clear), *gifs(photo, grey)]
    files += [*bmps(photo, grey, clear), *tiffs(photo, grey, clear)]
    cases = []
    for name, file in files:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
        (folder / name).write_bytes(file)
        (folder / f"{name}.rgb").write_bytes(image.tobytes())
        width, height = image.size
        cases.append({"name": name, "rgb": f"{name}.rgb", "width": width, "height": height})
    (folder / "cases.json").write_text(json.dumps(cases))


main(Path(sys.argv[1]))
