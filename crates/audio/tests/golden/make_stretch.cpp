// Makes stretch.f32; never run in CI.
// Signalsmith Stretch 1.3.1 and Signalsmith Linear, as in the crate signalsmith-stretch 0.1.3:
//   g++ -O3 -std=c++14 -I signalsmith-stretch -I . make_stretch.cpp -o make_stretch && ./make_stretch stretch.f32
// Every fourth sample of each rate, one after the other; the rates and the signal are those of
// src/stretch/tests.rs.
#include <signalsmith-stretch.h>

#include <cmath>
#include <cstdio>
#include <vector>

int main(int, char **arguments) {
    const int rate_hz = 8000, samples = 3200;
    std::vector<float> voice(samples);
    for (int i = 0; i < samples; ++i) {
        double time = double(i) / rate_hz, sum = 0;
        for (int k = 1; k <= 12; ++k) sum += std::sin(2 * M_PI * k * (150 * time + 60 * time * time) + k * k) / k;
        voice[i] = float(0.2 * sum * std::sin(M_PI * time / 0.4));
    }
        std::FILE *file = std::fopen(arguments[1], "wb");
    for (double rate : {1.0, 0.8, 1.25, 1.6}) {
        int length = int(std::round(samples / rate));
        std::vector<float> output(length);
        signalsmith::stretch::SignalsmithStretch<float> stretch(1L);
        stretch.presetDefault(1, rate_hz);
        float *inputs[] = {voice.data()}, *outputs[] = {output.data()};
        if (!stretch.exact(inputs, samples, outputs, length)) return 1;
        for (int i = 0; i < length; i += 4) std::fwrite(&output[i], sizeof(float), 1, file);
    }
    return std::fclose(file);
}
