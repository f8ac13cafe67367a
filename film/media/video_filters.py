"""ffmpeg's filters from what a video holds to whole, upright frames of square pixels in 8-bit sRGB.

A picture with transparency comes as its colours times its alpha, and the alpha: what lies under transparent pixels is
no picture. A picture whose shape changes on the way keeps its proportions, between bars.
"""

from __future__ import annotations

import re
from collections.abc import Callable

HD = 720  # rows from which an untagged video is taken for BT.709, as players do; below it is BT.601
# Of two fields, each half the picture at its own moment, a whole frame each; other frames pass as they are. Any other
# form of pixels would be converted for it, which changes colours, and no interlaced video has one.
DEINTERLACE = "bwdif=mode=send_field:deint=interlaced,"
# Film of 25 frames a second is called interlaced on discs; `idet` sees that both fields of a frame are of one moment.
IS_INTERLACED = "idet,"
# Of film at 24 frames a second that was spread over 60 fields (3:2 pulldown) the 24 again: fields of one picture are
# put together, and of every five frames the one that repeats is left out.
PULLDOWN = "fieldmatch=order=auto:combmatch=full,bwdif=mode=send_frame:deint=interlaced,decimate,"
FIELDS = r"yuvj?4(?:11|20|22|44)p(?:10le)?"
ALPHA = r"(?:yuva|gbrap|rgba|bgra|argb|abgr|ya8|ya16|ayuv|vuya)"  # how the names of forms with alpha begin
HDR = {"smpte2084", "arib-std-b67"}  # transfer functions: PQ and HLG, as phones record them
WIDE = {"bt2020", "smpte431", "smpte432"}  # primaries: BT.2020 and P3 with its two whites
# To linear light of BT.709's primaries; 203 cd/m2 are white, by BT.2408.
TONE_MAPPED = "zscale=transfer=linear:npl=203,format=gbrpf32le,zscale=primaries=bt709,tonemap=mobius:desat=0"
TO_SDR = f"{TONE_MAPPED},zscale=transfer=bt709:matrix=bt709:range=tv,format=yuv444p10le,"
TO_BT709 = "zscale=primaries=bt709:transfer=bt709:matrix=gbr:range=pc,format=gbrp12le,"
_SHAPED = "lt(abs({height}*dar/{width}-1),0.02)"  # sides are whole: a little is rounding
SCALE = (
    f"scale=w='if({_SHAPED},{{width}},min({{width}},round({{height}}*dar)))'"
    f":h='if({_SHAPED},{{height}},min({{height}},round({{width}}/dar)))'"
    ":flags=lanczos+accurate_rnd+full_chroma_int"
)
BARS = "pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:color=black@0"


def chain(
    told: Callable[[str], str | None], height: int, alpha: bool, toned: bool = True, pulldown: bool = False
) -> str:
    """Of a `width`, a `height` and a form of `pixels` to be filled in. `told` is what the first frame's line has under
    a name, such as `fmt`; `height` is the source's. Unless `toned`, high dynamic range stays as it is encoded.
    `pulldown`: see PULLDOWN."""
    # Of any yuv video: one whose first frame is whole may have fields later.
    whole = PULLDOWN if pulldown else DEINTERLACE if re.fullmatch(FIELDS, told("fmt") or "") else ""
    if told("i") in ("T", "B") and not pulldown:
        whole = IS_INTERLACED + whole
    matrix = "auto"
    if told("color_space") in (None, "unknown"):
        matrix = "bt709" if height >= HD else "bt601"
    if alpha:
        straight = f"scale=in_color_matrix={matrix}:flags=accurate_rnd+full_chroma_int,format=gbrap16le"
        return f"{straight},premultiply=inplace=1,{SCALE},format={{pixels}},{BARS}"
    end = f"format={{pixels}},{BARS}"
    is_hdr, is_wide = told("color_trc") in HDR, told("color_primaries") in WIDE
    if not is_hdr and not is_wide:
        return f"{whole}{SCALE}:in_color_matrix={matrix},{end}"
    # zscale knows no way from colours that are not told.
    wide = {"color_primaries": "bt2020", "color_space": "bt2020nc"} if is_hdr else {"color_trc": "bt709"}
    if not is_hdr:
        wide["color_space"] = "bt2020nc" if told("color_primaries") == "bt2020" else "bt709"
    options = {"color_primaries": "color_primaries", "color_space": "colorspace", "color_trc": "color_trc"}
    untold = [f"{options[name]}={value}" for name, value in wide.items() if told(name) in (None, "unknown")]
    tags = f"setparams={':'.join(untold)}," if untold else ""
    if is_hdr and not toned:
        return f"{whole}{tags}{SCALE}:in_color_matrix=bt2020,{end}"
    if is_hdr:
        return f"{whole}{tags}{TO_SDR}{SCALE}:in_color_matrix=bt709,{end}"
    return f"{whole}{tags}{TO_BT709}{SCALE},{end}"
