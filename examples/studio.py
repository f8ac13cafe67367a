"""What the scenes are made with: materials, shapes, the camera, light, and the render.

No asset is loaded. Materials are node graphs over procedural patterns, and nearly every shape is a sheet: a
grid of points, (rows, columns, 3), that numpy computes and Blender joins to smooth quads.

Units are metres outdoors and decimetres on the table and the floor. X is right, Y away from the camera, Z up.
Colours are written "#rrggbb" in sRGB.
"""

import math

import bpy
import numpy as np
from mathutils import Vector


def linear(color):
    """The linear RGBA of an sRGB colour written "#rrggbb", which is what Cycles computes with."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return (*np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4), 1.0)


def node(tree, kind, **settings):
    """Add a node. Capitalised settings ("Base_Color") are inputs, values or sockets; others attributes."""
    made = tree.nodes.new("ShaderNode" + kind)
    for key, value in settings.items():
        if not key[0].isupper():
            setattr(made, key, value)
        elif isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, made.inputs[key.replace("_", " ")])
        else:
            made.inputs[key.replace("_", " ")].default_value = value
    return made


def ramp(tree, factor, stops):
    """Colours over a factor in [0, 1]: stops are (position, "#rrggbb")."""
    made = node(tree, "ValToRGB", Fac=factor)
    elements = made.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(1.0)
    for element, (position, color) in zip(elements, stops, strict=True):
        element.position, element.color = position, linear(color)
    return made.outputs["Color"]


def material(
    *colors,
    texture="TexNoise",
    scale=4.0,
    stretch=(1, 1, 1),
    drift=(0, 0, 0),
    bump=0.0,
    grain=30.0,
    leaf=0.0,
    **more,
):
    """A Principled surface whose colours follow a pattern.

    `texture` is a node kind, or "along" for the position along a sheet's rows. `bump` is the height of a
    finer noise, `grain` its scale; `leaf` is the share of light that shines through; `more` are node inputs.
    """
    made = bpy.data.materials.new("surface")
    made.use_nodes = True
    tree = made.node_tree
    shader = tree.nodes["Principled BSDF"]
    # Equal objects with equal grain look copied, so each one cuts its pattern from another place.
    shift = node(tree, "VectorMath", operation="SCALE", Vector=(31, 17, 23))
    tree.links.new(node(tree, "ObjectInfo").outputs["Random"], shift.inputs["Scale"])
    place = node(tree, "Mapping", Scale=stretch, Location=drift)
    tree.links.new(node(tree, "TexCoord").outputs["Object"], place.inputs["Vector"])
    where = node(tree, "VectorMath", operation="ADD", Vector=place.outputs[0])
    tree.links.new(shift.outputs[0], where.inputs[1])
    if texture == "along":
        factor, low, high = node(tree, "Attribute", attribute_name="along").outputs["Fac"], 0.0, 1.0
    else:
        pattern = node(tree, texture, Vector=where.outputs[0], Scale=scale)
        if texture == "TexNoise":
            pattern.inputs["Detail"].default_value, pattern.inputs["Distortion"].default_value = 4, 0.4
        factor, low, high = pattern.outputs[0], 0.3, 0.7
    if isinstance(colors[0], str):
        spread = np.linspace(low, high, max(len(colors), 2))
        colors = list(zip(spread, colors if len(colors) > 1 else colors * 2, strict=True))
    color = ramp(tree, factor, colors)
    tree.links.new(color, shader.inputs["Base Color"])
    if bump:
        fine = node(tree, "TexNoise", Vector=where.outputs[0], Scale=grain, Detail=3.0)
        relief = node(tree, "Bump", Distance=bump, Height=fine.outputs[0])
        tree.links.new(relief.outputs[0], shader.inputs["Normal"])
    for key, value in more.items():
        shader.inputs[key.replace("_", " ")].default_value = value
    if leaf:
        through = node(tree, "BsdfTranslucent", Color=color)
        mix = node(tree, "MixShader", Fac=leaf)
        tree.links.new(shader.outputs[0], mix.inputs[1])
        tree.links.new(through.outputs[0], mix.inputs[2])
        tree.links.new(mix.outputs[0], tree.nodes["Material Output"].inputs[0])
    return made


def paint(color, **more):
    """Coloured lacquer, a little uneven as brushed paint is."""
    return material(color, bump=0.004, grain=9.0, **{"Roughness": 0.32, "Coat_Weight": 0.3, **more})


def wood(*colors, **more):
    """Timber with its grain along x."""
    return material(*colors, scale=1.6, stretch=(0.5, 7, 7), **{"bump": 0.006, "Roughness": 0.45, **more})


def link(data, look, at=(0, 0, 0), turn=(0, 0, 0), parent=None):
    made = bpy.data.objects.new("thing", data)
    if look:
        data.materials.append(look)
    made.location, made.rotation_euler, made.parent = at, turn, parent
    bpy.context.collection.objects.link(made)
    return made


def group(at=(0, 0, 0), turn=(0, 0, 0), parent=None):
    """An empty that carries its children."""
    return link(None, None, at, turn, parent)


def sheet(points, look, closed=False, **where):
    """Smooth surfaces from points (..., rows, columns, 3); `closed` joins the last column to the first."""
    *_, rows, columns, _ = points.shape
    count = points.size // (3 * rows * columns)
    index = np.arange(count * rows * columns).reshape(count, rows, columns)
    right = np.roll(index, -1, axis=2)
    if not closed:
        index, right = index[:, :, :-1], right[:, :, :-1]
    faces = np.stack([index[:, :-1], right[:, :-1], right[:, 1:], index[:, 1:]], axis=-1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("sheet")
    mesh.from_pydata(points.reshape(-1, 3).tolist(), [], faces.tolist())
    along = np.tile(np.repeat(np.linspace(0, 1, rows), columns), count).astype(np.float32)
    mesh.attributes.new("along", "FLOAT", "POINT").data.foreach_set("value", along)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=math.radians(40))
    return link(mesh, look, **where)


def plain(half_width, near, far, look):
    """Level ground, or water, at z = 0."""
    corners = [[(x, y, 0.0) for x in (-half_width, half_width)] for y in (near, far)]
    return sheet(np.array(corners), look)


def lathe(profile, look, around=48, wobble=0.0, **where):
    """Turn a profile of (radius, height), bottom to top, about z; `wobble` makes it look grown, not made."""
    radius, height = np.array(profile, float).T
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    uneven = 1 + wobble * (np.sin(3 * angle + 1) + np.sin(5 * angle))
    ring = radius[:, None] * uneven
    points = [ring * np.cos(angle), ring * np.sin(angle), np.repeat(height[:, None], around, axis=1)]
    return sheet(np.stack(points, axis=-1), look, closed=True, **where)


def rounded(profile, radius):
    """A profile with its inner corners cut twice, so that edges catch the light."""
    points = np.array(profile, float)
    out = [points[0]]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        back, ahead = before - here, after - here
        a = here + back * min(radius / np.linalg.norm(back), 0.5)
        b = here + ahead * min(radius / np.linalg.norm(ahead), 0.5)
        out += [a, (a + b + 2 * here) / 4, b]
    return [*out, points[-1]]


def disc(radius, thickness, edge=0.03):
    """The profile of a solid cylinder about z = 0."""
    half = thickness / 2
    return rounded([(0, -half), (radius, -half), (radius, half), (0, half)], edge)


def ball(radius, look, squash=1.0, **where):
    angle = np.linspace(0, np.pi, 25)
    return lathe(np.stack([radius * np.sin(angle), -radius * squash * np.cos(angle)], axis=1), look, **where)


def box(size, look, at=(0, 0, 0), edge=0.02, **where):
    """A box with rounded edges about its centre."""
    x, y, z = np.array(size) / 2
    corners = [(i, j, k) for i in (-x, x) for j in (-y, y) for k in (-z, z)]
    mesh = bpy.data.meshes.new("box")
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    mesh.shade_smooth()
    made = link(mesh, look, at, **where)
    bevel = made.modifiers.new("edges", "BEVEL")
    bevel.width, bevel.segments, bevel.harden_normals = edge, 2, True
    return made


def tubes(lines, radius, look, **where):
    """Round rods along polylines."""
    curve = bpy.data.curves.new("tubes", "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution = "3D", radius, 2
    for line in lines:
        spline = curve.splines.new("POLY")
        spline.points.add(len(line) - 1)
        for point, position in zip(spline.points, line, strict=True):
            point.co = (*position, 1)
    return link(curve, look, **where)


def leaves(centres, size, rng, look):
    """Small bent quads about the centres, each turned at random."""
    u, v = rng.normal(size=(2, len(centres), 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(u, v)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    s = size * rng.uniform(0.6, 1.2, (len(centres), 1))
    rows = []
    for along, wide in ((-1, 0.0), (0, 0.8), (1, 0.0)):
        middle = centres + s * along * u - s * abs(along) * 0.25 * np.cross(u, v)
        rows.append(np.stack([middle - s * wide / 2 * v, middle + s * wide / 2 * v], axis=1))
    return sheet(np.stack(rows, axis=1), look)


def camera(at, toward, lens, focus=None, stop=4.0):
    """Look from `at` toward a point; with `focus`, a distance, the rest blurs as at f/`stop`."""
    data = bpy.data.cameras.new("camera")
    data.lens, data.clip_end = lens, 5000
    if focus:
        data.dof.use_dof, data.dof.focus_distance, data.dof.aperture_fstop = True, focus, stop
    made = link(data, None, at)
    made.rotation_euler = (Vector(toward) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.camera = made


def lamp(kind, at, toward, energy, color="#ffffff", size=1.0):
    """A sun (energy in W/m2, size in degrees) or a square area light (W, side)."""
    data = bpy.data.lights.new("lamp", kind)
    data.energy, data.color = energy, linear(color)[:3]
    if kind == "SUN":
        data.angle = math.radians(size)
    else:
        data.size = size
    made = link(data, None, at)
    made.rotation_euler = (Vector(toward) - Vector(at)).to_track_quat("-Z", "Y").to_euler()


def sky(elevation, rotation, strength, disc=True, clouds=0.0, dust=1.0):
    """Light and background from a physical sky; angles in degrees, rotation from +Y clockwise."""
    world = bpy.context.scene.world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    tree = world.node_tree
    air = node(tree, "TexSky", sky_type="NISHITA", sun_disc=disc, dust_density=dust)
    air.sun_elevation, air.sun_rotation, air.sun_size = math.radians(elevation), math.radians(rotation), 0.02
    color = air.outputs[0]
    if clouds:
        place = node(tree, "Mapping", Scale=(1, 1, 6))
        tree.links.new(node(tree, "TexCoord").outputs["Generated"], place.inputs["Vector"])
        noise = node(tree, "TexNoise", Vector=place.outputs[0], Scale=2.2, Detail=9.0, Distortion=0.3)
        mask = ramp(tree, noise.outputs[0], [(0.46, "#000000"), (0.62, "#ffffff")])
        amount = node(tree, "Math", operation="MULTIPLY")
        tree.links.new(mask, amount.inputs[0])
        amount.inputs[1].default_value = clouds
        # Against a low sun a cloud is its sky's colour, only dimmer and redder.
        dim = node(tree, "MixRGB", blend_type="MULTIPLY", Fac=1.0, Color1=color, Color2=linear("#c98a86"))
        color = node(tree, "MixRGB", Fac=amount.outputs[0], Color1=color, Color2=dim.outputs[0]).outputs[0]
    background = tree.nodes["Background"]
    background.inputs["Strength"].default_value = strength
    tree.links.new(color, background.inputs["Color"])


def render(build, t, width, samples, path):
    """Write the picture of the scene that `build(t)` makes, 16:9, to a PNG."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    build(t)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = width, width * 9 // 16
    scene.render.filepath, scene.render.image_settings.file_format = str(path), "PNG"
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    cycles = scene.cycles
    # One seed for all moments: then what stands still is equal to the pixel, and denoising leaves no flicker.
    cycles.samples, cycles.seed, cycles.adaptive_threshold = samples, 0, 0.05
    cycles.use_denoising, cycles.denoiser, cycles.denoising_input_passes = (
        True,
        "OPENIMAGEDENOISE",
        "RGB_ALBEDO_NORMAL",
    )
    # Deep enough for light through a glass of water and back; the rest is scarcely seen.
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 8, 2, 3
    cycles.sample_clamp_indirect, cycles.caustics_reflective, cycles.caustics_refractive = 4.0, False, False
    bpy.ops.render.render(write_still=True)
