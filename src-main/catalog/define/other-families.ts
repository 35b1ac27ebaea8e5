// Families of models that Adora does not load, told by the names that their adapters have for layers: so that a file for one of
// them is called by its name instead of "unknown".

/** What tensors of adapters are called, in every layout; weights of base models have none of it. */
const OF_ADAPTER = /lora|dora_scale|hada_|lokr_|oft_|\.diff(?:_b)?$/;

/** Blocks of a UNet, which ours have. */
const UNET = /(?:^|[._])(?:down_blocks|mid_block|up_blocks|input_blocks|middle_block|output_blocks)[._]/;

/** The first that fits any name of a file counts; names are tried as they are and with underscores for dots. */
const families: readonly (readonly [RegExp, string])[] = [
  [/(?:^|_)joint_blocks_\d+_(?:x|context)_block_/, 'Stable Diffusion 3'],
  [/_attn_to_qkv_mlp_proj|double_stream_modulation_|(?:^|_)transformer_blocks_\d+_ff(?:_context)?_linear_(?:in|out)/, 'FLUX.2'],
  // One word where FLUX has a dot (img_attn.qkv); with underscores both look the same.
  [/double_blocks\.\d+\.(?:img|txt)_attn_(?:qkv|proj)/, 'HunyuanVideo'],
  [/(?:^|_)(?:double_blocks_\d+_(?:(?:img|txt)_(?:attn|mlp|mod)|processor)|single_blocks_\d+_(?:linear[12]|modulation|processor)|single_transformer_blocks_\d+_)/, 'FLUX, or a model built like it'],
  [/(?:^|_)transformer_blocks_\d+_(?:img|txt)_(?:mlp|mod)_/, 'Qwen-Image'],
  [/(?:^|_)(?:context_refiner|noise_refiner|layers)_\d+_(?:attention_(?:to_[qkv]|to_out|qkv|out|[qkv])|feed_forward_w[123]|adaLN)/, 'Z-Image or Lumina 2'],
  [/(?:^|_)blocks_\d+_(?:self|cross)_attn_(?:q|k|v|output)_proj/, 'Cosmos or Anima'],
  [/(?:^|_)blocks_\d+_(?:(?:self|cross)_attn_(?:[qkvo]|[kv]_img)_|ffn_[02])/, 'Wan'],
  [/^(?:(?:transformer|diffusion_model)\.|lora_transformer_)?blocks[._]\d+[._](?:attn[12][._]|ffn[._])/, 'Wan'],
  [/(?:^|_)transformer_blocks_\d+_(?:ff_context_|attn_add_)/, 'Stable Diffusion 3, FLUX or Qwen-Image'],
  [/^(?:(?:transformer|lora_transformer)[._]|transformer_blocks\.)/, 'a diffusion transformer'],
];

/** The family that an adapter's tensors belong to, if it is none of ours; null where nothing tells. */
export function otherFamily(keys: Iterable<string>): string | null {
  const names = [...keys].filter((key) => OF_ADAPTER.test(key));
  if (names.some((name) => name.startsWith('lora_prior_'))) return 'Stable Cascade';
  if (names.some((name) => UNET.test(name))) return null;
  const spellings = names.flatMap((name) => [name, name.replaceAll('.', '_')]);
  return families.find(([pattern]) => spellings.some((name) => pattern.test(name)))?.[1] ?? null;
}
