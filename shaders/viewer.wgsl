// Two pictures in one view. One triangle covers the target; each pixel reads the pictures without filtering.

struct Settings {
  size: vec2f,      // of the target, pixels
  mode: f32,        // 0 alpha on a checkerboard, 1 difference as heat, 2 compare with a split
  gain: f32,        // a difference of 1 / gain is the hottest colour
  split: f32,       // share of the width that shows the first picture
  square: f32,      // side of a checkerboard square, pixels
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var first: texture_2d<f32>;
@group(0) @binding(2) var second: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
  let x = f32(i32(index & 1u) * 4 - 1);
  let y = f32(i32(index >> 1u) * 4 - 1);
  return vec4f(x, y, 0.0, 1.0);
}

fn read(picture: texture_2d<f32>, position: vec2f) -> vec4f {
  let size = vec2f(textureDimensions(picture));
  return textureLoad(picture, vec2i(min(position / settings.size * size, size - 1.0)), 0);
}

fn on_board(color: vec4f, position: vec2f) -> vec3f {
  let square = vec2i(position / settings.square);
  let board = select(0.5, 0.36, (square.x + square.y) % 2 == 0);
  return mix(vec3f(board), color.rgb, color.a);
}

// Black over violet and orange to yellow; brightness rises all the way.
fn heat(value: f32) -> vec3f {
  var stops = array<vec3f, 4>(vec3f(0.0, 0.0, 0.04), vec3f(0.42, 0.07, 0.44), vec3f(0.89, 0.35, 0.2), vec3f(0.99, 0.98, 0.63));
  let at = clamp(value, 0.0, 0.999999) * 3.0;
  let low = u32(at);
  return mix(stops[low], stops[low + 1u], fract(at));
}

@fragment
fn shade(@builtin(position) position: vec4f) -> @location(0) vec4f {
  let a = read(first, position.xy);
  let b = read(second, position.xy);
  if (settings.mode == 1.0) {
    // Of what is seen: colour that nothing shows of does not count.
    let gap = abs(vec4f(a.rgb * a.a, a.a) - vec4f(b.rgb * b.a, b.a));
    return vec4f(heat(max(max(gap.r, gap.g), max(gap.b, gap.a)) * settings.gain), 1.0);
  }
  let is_first = settings.mode == 0.0 || position.x < settings.size.x * settings.split;
  return vec4f(on_board(select(b, a, is_first), position.xy), 1.0);
}
