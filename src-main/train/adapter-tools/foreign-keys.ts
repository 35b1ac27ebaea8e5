// Names in which other programs and older versions store what kohya's or PEFT's layout has another name for.
import type { DoraAxis } from '../../catalog/define/format.ts';

/** Middle tensor of a convolution in Tucker form: `<layer>.lora_mid.weight`. */
export const MIDDLE = /^(.+)\.lora_mid\.weight$/;

/** First words of the UNet's own layers in the diffusers layout, for files that leave the component out. */
const BARE = /^(?:down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding|add_embedding)\./;

/** Each rule takes one spelling away; all are tried, in this order. */
const rules: readonly (readonly [RegExp, string])[] = [
  // PEFT's own state dict of a model without components.
  [/^base_model\.model\./, ''],
  // The attention processors of old diffusers: `attn1.processor.to_q_lora.down.weight`.
  [/\.processor\.(to_[qkv]|to_out)_lora\.(down|up)\.weight$/, '.$1.lora.$2.weight'],
  [/\.to_out\.lora\.(down|up)\.weight$/, '.to_out.0.lora.$1.weight'],
  [/\.(?:lora|lora_linear_layer)\.down\.weight$/, '.lora_A.weight'],
  [/\.(?:lora|lora_linear_layer)\.up\.weight$/, '.lora_B.weight'],
  // Dotted layer names with kohya's endings (OneTrainer, ai-toolkit).
  [/^((?:unet|text_encoder(?:_2)?)\..+)\.lora_down\.weight$/, '$1.lora_A.weight'],
  [/^((?:unet|text_encoder(?:_2)?)\..+)\.lora_up\.weight$/, '$1.lora_B.weight'],
  [/^((?:unet|text_encoder(?:_2)?)\..+)\.(?:magnitude|dora_scale)$/, '$1.lora_magnitude_vector'],
  [/\.magnitude$/, '.dora_scale'],
  // Flat layer names with PEFT's endings.
  [/^((?:lora_(?:unet|te|te1|te2)|lycoris)_[^.]+)\.lora_A(?:\.default)?\.weight$/, '$1.lora_down.weight'],
  [/^((?:lora_(?:unet|te|te1|te2)|lycoris)_[^.]+)\.lora_B(?:\.default)?\.weight$/, '$1.lora_up.weight'],
];

/** A tensor's name in the words of kohya's or PEFT's layout; names that no rule knows stay. */
export function canonicalKey(key: string): string {
  let name = key;
  for (const [pattern, replacement] of rules) name = name.replace(pattern, replacement);
  return BARE.test(name) ? `unet.${name}` : name;
}

/** The axis that a magnitude's name alone tells: ai-toolkit's vectors belong to rows. */
export const vectorAxis = (key: string): DoraAxis | null => (key.endsWith('.magnitude') ? 'output' : null);

const others: readonly (readonly [RegExp, string])[] = [
  [/\.hada_(?:w[12]_[ab]|t[12])$/, 'a LoHa (a product of two low-rank changes)'],
  [/\.lokr_(?:w[12](?:_[ab])?|t2)$/, 'a LoKr (a Kronecker product)'],
  [/\.oft_(?:blocks|diag)$/, 'an OFT or BOFT (a rotation of the weights)'],
  [/\.(?:a1|a2|b1|b2|bm1|bm2)\.weight$/, 'a GLoRA'],
  [/\.on_input$/, 'an IA3 (factors of channels)'],
  [/\.(?:diff|diff_b|set_weight)$/, 'a set of whole differences of weights'],
  [/\.(?:w_norm|b_norm)$/, 'a change of norm layers'],
  [/^(?:emb_params|string_to_param|clip_[lg]|bundle_emb)\b/, 'an embedding (textual inversion)'],
];

/** What adapter of another kind the tensors belong to, for a message; null when nothing tells. */
export function otherKind(keys: Iterable<string>): string | null {
  for (const key of keys) for (const [pattern, kind] of others) if (pattern.test(key)) return kind;
  return null;
}
