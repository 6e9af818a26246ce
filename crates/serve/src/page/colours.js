// Colours that can be told apart by everybody, in light and in dark.

/** A colour of the page's style, such as `--ink`. */
export function styled(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Points of viridis (van der Walt and Smith, 2015): lightness grows evenly, also without red or green.
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/** Red, green and blue of a share from 0 to 1. */
export function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const at = Math.min(Math.floor(place), VIRIDIS.length - 2), part = place - at;
  return VIRIDIS[at].map((value, channel) => value + part * (VIRIDIS[at + 1][channel] - value));
}
